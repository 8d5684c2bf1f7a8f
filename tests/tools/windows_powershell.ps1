# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Reads a JSON list of scripts from the file that is named, and prints what PowerShell's own parser finds in each.
param([string] $Path)

$guard = '$PSVersionTable.PSVersion.Major -lt 6'
$found = foreach ($source in (Get-Content -Raw -Path $Path | ConvertFrom-Json)) {
    $tokens = $errors = $null
    $tree = [System.Management.Automation.Language.Parser]::ParseInput($source, [ref] $tokens, [ref] $errors)
    $all = $tree.FindAll({ $true }, $true)
    $commands = foreach ($one in $all | Where-Object { $_ -is [System.Management.Automation.Language.CommandAst] }) {
        $elements = $one.CommandElements
        @{
            name       = $one.GetCommandName()
            parameters = @($elements | Where-Object { $_ -is [System.Management.Automation.Language.CommandParameterAst] } |
                    ForEach-Object { $_.ParameterName })
            first      = @($elements | Select-Object -Skip 1 | Where-Object { $_ -is [System.Management.Automation.Language.StringConstantExpressionAst] } |
                    ForEach-Object { $_.Value })
            background = [bool] ($one.Parent.PSObject.Properties['Background'] -and $one.Parent.Background)
        }
    }
    $members = $all | Where-Object { $_ -is [System.Management.Automation.Language.MemberExpressionAst] }
    @{
        errors    = @($errors | ForEach-Object { $_.Message })
        nodes     = @($all | ForEach-Object { $_.GetType().Name } | Sort-Object -Unique)
        tokens    = @($tokens | ForEach-Object { $_.Kind.ToString() } | Sort-Object -Unique)
        numbers   = @($tokens | Where-Object { $_.Kind -eq 'Number' } | ForEach-Object { $_.Text } | Sort-Object -Unique)
        commands  = @($commands)
        types     = @(
            $all | Where-Object {
                $_ -is [System.Management.Automation.Language.TypeExpressionAst] -or
                $_ -is [System.Management.Automation.Language.TypeConstraintAst]
            } | ForEach-Object { $_.TypeName.FullName }
        )
        static    = @($members | Where-Object { $_.Static } | ForEach-Object { '{0}::{1}' -f $_.Expression.TypeName.FullName, $_.Member.Value })
        instance  = @($members | Where-Object { -not $_.Static } | ForEach-Object { [string] $_.Member.Value } | Sort-Object -Unique)
        conditional = [bool] ($members | Where-Object { $_.NullConditional })
        clean     = [bool] ($all | Where-Object { $_ -is [System.Management.Automation.Language.ScriptBlockAst] -and $_.CleanBlock })
        escapes   = @($all | Where-Object { $_ -is [System.Management.Automation.Language.ExpandableStringExpressionAst] -or ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst] -and $_.StringConstantType -match 'Double') } |
                ForEach-Object { [regex]::Matches($_.Extent.Text, '`(e|u\{)').Value })
        variables = @(
            $all | Where-Object { $_ -is [System.Management.Automation.Language.VariableExpressionAst] } | Where-Object {
                -not ($_.Parent -is [System.Management.Automation.Language.BinaryExpressionAst] -and
                    $_.Parent.Operator -eq 'Or' -and $_.Parent.Left.Extent.Text -eq $guard)
            } | ForEach-Object { $_.VariablePath.UserPath } | Sort-Object -Unique
        )
    }
}
ConvertTo-Json -InputObject @($found) -Depth 6 -Compress
