# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What runs on a Windows management host: one constant PowerShell script, and how it gets there.

The command line carries a short bootstrap, which never changes either: it reads the script from standard input as raw
bytes, compares its SHA-256 with the one written into the bootstrap, and runs it. Requests follow on the same stream.
So nothing that anybody names, and no secret, is ever part of a command line or of the script.

The bootstrap must not mention PowerShell's automatic variable for pipeline input: if it did, PowerShell itself would
read standard input line by line, in the console's encoding.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import typing as t

MARKER = "@@mail2fax.m365"
END = "@@end@@"
DIGITS = 8
"""How many decimal digits stand in front of a request: its length in bytes."""

NONCE = 32
"""How many characters mark the answers of one process."""

SCRIPT = r"""<#
.SYNOPSIS
    Runs cmdlets of the module ExchangeOnlineManagement for the Ansible collection mail2fax.m365.

.DESCRIPTION
    Answers requests from standard input on standard output, one after another, over one connection to Exchange Online.
    At the end of standard input it disconnects and ends.

    Right behind the script come 32 characters that are new for each process. They are part of every answer's marker, so
    that nothing else that is printed can be taken for an answer, however much it looks like one.

    A request is eight decimal digits, the number of bytes that follow, and a JSON object with the keys 'sequence' and
    'do':
      check     tells about this host and tries out what the collection relies on; needs no connection
      connect   connects to Exchange Online
      run       runs a list of cmdlets and tells of each its objects, its warnings, or its error
    Every text in a request has an equals sign in front, so that no JSON parser takes a text for a date.

    An answer is a line with the marker, the request's sequence and the number of characters that follow, a JSON object
    in plain ASCII, and a closing line. Whatever else this process prints stands outside of these and means nothing.
    No line needs Windows unless it says so; what cannot be known on another system is null.

    Both streams are read and written as bytes, so that no code page of the console matters.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)]
    [System.IO.BinaryReader] $Reader
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'
# The module's own functions do not see this script's preferences, only the global ones.
$global:ProgressPreference = 'SilentlyContinue'
$global:ConfirmPreference = 'None'

# Nothing else is run, whatever is asked for.
$AllowedCmdlets = @(
    'Add-DistributionGroupMember'
    'Add-MailboxPermission'
    'Add-RecipientPermission'
    'Enable-OrganizationCustomization'
    'Get-AcceptedDomain'
    'Get-ApplicationAccessPolicy'
    'Get-CASMailbox'
    'Get-DistributionGroup'
    'Get-DistributionGroupMember'
    'Get-Mailbox'
    'Get-MailboxPermission'
    'Get-ManagementRoleAssignment'
    'Get-ManagementScope'
    'Get-OrganizationConfig'
    'Get-Recipient'
    'Get-RecipientPermission'
    'Get-RoleGroup'
    'Get-RoleGroupMember'
    'Get-ServicePrincipal'
    'Get-TransportConfig'
    'Get-User'
    'New-ApplicationAccessPolicy'
    'New-DistributionGroup'
    'New-ManagementRoleAssignment'
    'New-ManagementScope'
    'New-ServicePrincipal'
    'Remove-ApplicationAccessPolicy'
    'Remove-DistributionGroup'
    'Remove-DistributionGroupMember'
    'Remove-MailboxPermission'
    'Remove-ManagementRoleAssignment'
    'Remove-ManagementScope'
    'Remove-RecipientPermission'
    'Remove-ServicePrincipal'
    'Set-ApplicationAccessPolicy'
    'Set-CASMailbox'
    'Set-DistributionGroup'
    'Set-ManagementRoleAssignment'
    'Set-ManagementScope'
    'Set-OrganizationConfig'
    'Test-ApplicationAccessPolicy'
    'Test-ServicePrincipalAuthorization'
)

# What the module adds to every object, and Exchange did not send.
$AddedProperties = @('PSComputerName', 'PSShowComputerName', 'RunspaceId')

$Invariant = [System.Globalization.CultureInfo]::InvariantCulture
$Output = [System.Console]::OpenStandardOutput()
$Marker = '@@mail2fax.m365 {0}' -f [System.Text.Encoding]::ASCII.GetString($Reader.ReadBytes(32))

# --- Requests ----------------------------------------------------------------------------------------------------

function ConvertFrom-Wire {
    # A parsed JSON value as PowerShell wants it: objects as hashtables, texts without the sign in front of them.
    param($Value)

    if ($Value -is [string]) {
        return $Value.Substring(1)
    }
    if ($Value -is [System.Management.Automation.PSCustomObject]) {
        $table = @{}
        foreach ($property in $Value.PSObject.Properties) {
            $table[$property.Name] = ConvertFrom-Wire -Value $property.Value
        }
        return $table
    }
    if ($Value -is [System.Array]) {
        $items = New-Object -TypeName System.Collections.ArrayList
        foreach ($item in $Value) {
            [void] $items.Add((ConvertFrom-Wire -Value $item))
        }
        # The comma keeps a list of one, or of none, a list.
        return , $items.ToArray()
    }
    return $Value
}

function Read-Request {
    # The next request as a hashtable, or nothing at the end of the stream. A request that is cut off is not one.
    $digits = $Reader.ReadBytes(8)
    if ($digits.Length -lt 8) {
        return
    }
    $length = [int]::Parse([System.Text.Encoding]::ASCII.GetString($digits), $Invariant)
    $bytes = $Reader.ReadBytes($length)
    if ($bytes.Length -lt $length) {
        return
    }
    $document = ConvertFrom-Json -InputObject ([System.Text.Encoding]::UTF8.GetString($bytes))
    ConvertFrom-Wire -Value $document
}

# --- Answers -----------------------------------------------------------------------------------------------------

# Everything but printable ASCII, and the quotation mark and the backslash of it.
$Unsafe = [regex] '[^\x20\x21\x23-\x5b\x5d-\x7e]'
$Escape = [System.Text.RegularExpressions.MatchEvaluator] {
    param($Match)
    '\u{0:x4}' -f [int][char] $Match.Value
}

function Add-JsonTable {
    param(
        [System.Text.StringBuilder] $Builder,
        [System.Collections.IDictionary] $Table,
        [int] $Depth
    )

    $separator = '{'
    foreach ($key in $Table.PSBase.Keys) {
        [void] $Builder.Append($separator).Append('"').Append($Unsafe.Replace($key, $Escape)).Append('":')
        $separator = ','
        $item = $Table[$key]
        if ($item -is [string]) {
            # Most values are texts, and a function call for each of them would take its time.
            [void] $Builder.Append('"').Append($Unsafe.Replace($item, $Escape)).Append('"')
        }
        else {
            Add-Json -Builder $Builder -Value $item -Depth ($Depth + 1)
        }
    }
    if ($separator -eq '{') {
        [void] $Builder.Append('{')
    }
    [void] $Builder.Append('}')
}

function Add-JsonText {
    param(
        [System.Text.StringBuilder] $Builder,
        [string] $Text
    )

    [void] $Builder.Append('"').Append($Unsafe.Replace($Text, $Escape)).Append('"')
}

function Add-Json {
    # ConvertTo-Json differs between versions in dates, enumerations, depth and characters; Exchange's REST endpoint
    # prints enumerations, sizes and identities as text, GUIDs in lower case, and dates in UTC with seven decimals.
    param(
        [System.Text.StringBuilder] $Builder,
        $Value,
        [int] $Depth = 0
    )

    if ($null -eq $Value) {
        [void] $Builder.Append('null')
    }
    elseif ($Value -is [string] -or $Value -is [char] -or $Value -is [System.Enum]) {
        Add-JsonText -Builder $Builder -Text $Value.ToString()
    }
    elseif ($Value -is [bool]) {
        [void] $Builder.Append($(if ($Value) { 'true' } else { 'false' }))
    }
    elseif ($Value -is [System.Management.Automation.SwitchParameter]) {
        [void] $Builder.Append($(if ($Value.IsPresent) { 'true' } else { 'false' }))
    }
    elseif ($Value -is [datetime]) {
        $moment = if ($Value.Kind -eq [System.DateTimeKind]::Local) { $Value.ToUniversalTime() } else { $Value }
        $text = $moment.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'+00:00'", $Invariant)
        Add-JsonText -Builder $Builder -Text $text
    }
    elseif ($Value -is [System.DateTimeOffset]) {
        $text = $Value.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'+00:00'", $Invariant)
        Add-JsonText -Builder $Builder -Text $text
    }
    elseif ($Value -is [System.IConvertible]) {
        # Only numbers are left.
        [void] $Builder.Append([System.Convert]::ToString($Value, $Invariant))
    }
    elseif ($Depth -gt 12) {
        Add-JsonText -Builder $Builder -Text $Value.ToString()
    }
    elseif ($Value -is [System.Collections.IDictionary]) {
        Add-JsonTable -Builder $Builder -Table $Value -Depth $Depth
    }
    elseif ($Value -is [System.Collections.IEnumerable]) {
        $separator = '['
        foreach ($item in $Value) {
            [void] $Builder.Append($separator)
            Add-Json -Builder $Builder -Value $item -Depth ($Depth + 1)
            $separator = ','
        }
        if ($separator -eq '[') {
            [void] $Builder.Append('[')
        }
        [void] $Builder.Append(']')
    }
    elseif ($Value -is [System.Management.Automation.PSCustomObject] -and
        -not $Value.PSObject.TypeNames[0].StartsWith('Deserialized.')) {
        Add-JsonTable -Builder $Builder -Table (ConvertTo-Table -InputObject $Value) -Depth $Depth
    }
    else {
        # A GUID, a size, an address, an identity.
        Add-JsonText -Builder $Builder -Text $Value.ToString()
    }
}

function ConvertTo-Table {
    # The properties of an object that a cmdlet gave, in their order.
    param($InputObject)

    $table = New-Object -TypeName System.Collections.Specialized.OrderedDictionary
    foreach ($property in $InputObject.PSObject.Properties) {
        if ($AddedProperties -notcontains $property.Name) {
            $table[$property.Name] = $property.Value
        }
    }
    $table
}

function Write-Answer {
    param(
        [int] $Sequence,
        [System.Collections.IDictionary] $Document
    )

    $builder = New-Object -TypeName System.Text.StringBuilder
    Add-Json -Builder $builder -Value $Document
    $text = "`n{0} {1} {2}@@`n{3}`n@@end@@`n" -f $Marker, $Sequence, $builder.Length, $builder.ToString()
    $bytes = [System.Text.Encoding]::ASCII.GetBytes($text)
    $Output.Write($bytes, 0, $bytes.Length)
    $Output.Flush()
}

function ConvertTo-ErrorTable {
    # An error, from what was thrown down to its cause. The module puts Exchange's own words into the message.
    param([System.Management.Automation.ErrorRecord] $ErrorRecord)

    $chain = New-Object -TypeName System.Collections.ArrayList
    $exception = $ErrorRecord.Exception
    while ($null -ne $exception) {
        [void] $chain.Add([ordered] @{ type = $exception.GetType().FullName; message = $exception.Message })
        $exception = $exception.InnerException
    }
    $details = $null
    if ($null -ne $ErrorRecord.ErrorDetails) {
        $details = $ErrorRecord.ErrorDetails.Message
    }
    [ordered] @{
        chain    = $chain
        details  = $details
        category = $ErrorRecord.CategoryInfo.Category
        reason   = $ErrorRecord.CategoryInfo.Reason
        id       = $ErrorRecord.FullyQualifiedErrorId
    }
}

# --- This host ---------------------------------------------------------------------------------------------------

function Get-HostTable {
    # What decides whether the module can work here.
    $modules = @(
        Get-Module -ListAvailable -Name ExchangeOnlineManagement -ErrorAction SilentlyContinue |
            Sort-Object -Property Version -Descending
    )
    $framework = $null
    $user = $null
    if ($PSVersionTable.PSVersion.Major -lt 6 -or $IsWindows) {
        $user = [System.Security.Principal.WindowsIdentity]::GetCurrent().Name
    }
    if ($PSVersionTable.PSVersion.Major -lt 6) {
        $key = 'HKLM:\SOFTWARE\Microsoft\NET Framework Setup\NDP\v4\Full'
        $framework = Get-ItemProperty -Path $key -ErrorAction SilentlyContinue |
            Select-Object -ExpandProperty Release -ErrorAction SilentlyContinue
    }
    [ordered] @{
        computer          = [System.Environment]::MachineName
        user              = $user
        operating_system  = [System.Environment]::OSVersion.VersionString
        powershell        = $PSVersionTable.PSVersion.ToString()
        language_mode     = $ExecutionContext.SessionState.LanguageMode
        execution_policy  = (Get-ExecutionPolicy).ToString()
        framework_release = $framework
        modules           = @($modules | ForEach-Object -Process { $_.Version.ToString() })
        temporary_folder  = [System.IO.Path]::GetTempPath()
    }
}

function Get-SampleTable {
    # One value of each kind, so that the collection can compare how they arrive.
    [ordered] @{
        nothing       = $null
        empty_text    = ''
        text          = -join [char[]] @(0x22, 0x5c, 0x27, 0x00e4, 0x0441, 0x202e, 0xd834, 0xdd1e, 0x0007, 0x2028)
        yes           = $true
        number        = 42
        enumeration   = [System.DayOfWeek]::Monday
        guid          = [guid] '998E9D79-0000-4000-8000-00000000000A'
        moment        = [datetime]::SpecifyKind([datetime] '2026-01-02T03:04:05', [System.DateTimeKind]::Utc)
        version       = [version] '3.9.2'
        empty_list    = @()
        list_of_one   = @('one')
        list          = New-Object -TypeName System.Collections.ArrayList -ArgumentList (, @('one', 'two'))
        nested        = New-Object -TypeName PSObject -Property @{ inner = @{ deeper = $false } }
    }
}

function Get-CheckTable {
    param([hashtable] $Request)

    $bytes = $Reader.ReadBytes($Request['bytes'])
    $provider = New-Object -TypeName System.Security.Cryptography.SHA256CryptoServiceProvider
    [ordered] @{
        host    = Get-HostTable
        samples = Get-SampleTable
        echo    = $Request['echo']
        bytes   = $bytes.Length
        sha256  = [System.BitConverter]::ToString($provider.ComputeHash($bytes)) -replace '-', ''
        filler  = 'x' * $Request['filler']
    }
}

# --- Exchange Online ---------------------------------------------------------------------------------------------

function Connect-Exchange {
    param([hashtable] $Request)

    if ($PSVersionTable.PSVersion.Major -lt 6) {
        # Windows PowerShell may still offer older protocols alone; Exchange takes TLS 1.2 and later.
        [System.Net.ServicePointManager]::SecurityProtocol =
            [System.Net.ServicePointManager]::SecurityProtocol -bor [System.Net.SecurityProtocolType]::Tls12
    }
    Import-Module -Name ExchangeOnlineManagement

    $parameters = @{
        CommandName             = $AllowedCmdlets
        ExchangeEnvironmentName = $Request['environment']
        Organization            = $Request['organization']
        ShowBanner              = $false
        SkipLoadingFormatData   = $true
        ErrorAction             = 'Stop'
    }
    switch ($Request['method']) {
        'access_token' {
            $parameters['AccessToken'] = $Request['access_token']
        }
        'certificate_thumbprint' {
            $parameters['AppId'] = $Request['app_id']
            $parameters['CertificateThumbprint'] = $Request['certificate_thumbprint']
        }
        'managed_identity' {
            $parameters['ManagedIdentity'] = $true
            if ($Request['managed_identity_id']) {
                $parameters['ManagedIdentityAccountId'] = $Request['managed_identity_id']
            }
        }
        default {
            throw "There is no way to connect that is called '$_'."
        }
    }
    Connect-ExchangeOnline @parameters 3>$null 4>$null 6>$null | Out-Null
    Get-ConnectionInformation |
        Select-Object -First 1 -Property @('TenantID', 'Organization', 'State', 'TokenStatus')
}

function Invoke-ExchangeCmdlet {
    # One cmdlet: what it gave, what it warned of, or the error it ended with. An error concerns this cmdlet only.
    param([hashtable] $Call)

    $name = $Call['name']
    $parameters = $Call['parameters']
    $limit = if ($null -eq $Call['limit']) { [int]::MaxValue } else { $Call['limit'] }
    $warnings = New-Object -TypeName System.Collections.ArrayList
    $document = [ordered] @{ value = @(); warnings = $warnings; error = $null }
    try {
        if ($AllowedCmdlets -notcontains $name) {
            throw "The cmdlet '$name' is not one of those that this script runs."
        }
        $parameters['ErrorAction'] = 'Stop'
        $parameters['WarningAction'] = 'Continue'
        # Warnings come among the objects and are told apart by their type; Select-Object stops the cmdlet at the limit.
        $document['value'] = @(
            & $name @parameters 3>&1 4>$null 5>$null 6>$null |
                ForEach-Object -Process {
                    if ($_ -is [System.Management.Automation.WarningRecord]) {
                        [void] $warnings.Add($_.Message)
                    }
                    elseif ($_ -is [System.Collections.IDictionary]) {
                        $_
                    }
                    elseif ($_ -is [string] -or $_ -is [System.ValueType] -or $_ -is [System.Collections.IEnumerable]) {
                        # Exchange's objects have properties; this has none, so nothing of it is an answer.
                        [void] $warnings.Add(('{0} gave a {1}, which is not an object' -f $name, $_.GetType()))
                    }
                    elseif ($null -ne $_) {
                        ConvertTo-Table -InputObject $_
                    }
                } |
                Select-Object -First $limit
        )
    }
    catch {
        $document['error'] = ConvertTo-ErrorTable -ErrorRecord $_
    }
    $document
}

# --- The loop ----------------------------------------------------------------------------------------------------

$connecting = $false
$connected = $false
try {
    while ($true) {
        $request = Read-Request
        if ($null -eq $request) {
            break
        }
        $answer = [ordered] @{ error = $null }
        try {
            switch ($request['do']) {
                'check' {
                    $answer['check'] = Get-CheckTable -Request $request
                }
                'connect' {
                    $answer['host'] = Get-HostTable
                    $connecting = $true
                    $connected = $false
                    $answer['connection'] = Connect-Exchange -Request $request
                    $connected = $true
                }
                'run' {
                    if (-not $connected) {
                        throw 'There is no connection to Exchange Online.'
                    }
                    $answer['outputs'] = @(
                        foreach ($call in $request['cmdlets']) {
                            Invoke-ExchangeCmdlet -Call $call
                        }
                    )
                }
                default {
                    throw "There is no request that is called '$_'."
                }
            }
        }
        catch {
            $answer['error'] = ConvertTo-ErrorTable -ErrorRecord $_
        }
        Write-Answer -Sequence $request['sequence'] -Document $answer
    }
}
finally {
    if ($connecting -and (Get-Module -Name ExchangeOnlineManagement)) {
        # Also removes the module that Connect-ExchangeOnline wrote into the temporary folder.
        Disconnect-ExchangeOnline -Confirm:$false -ErrorAction SilentlyContinue 3>$null 4>$null 6>$null | Out-Null
    }
}
"""

_BOOTSTRAP = r"""$ErrorActionPreference = 'Stop'
$reader = New-Object -TypeName System.IO.BinaryReader -ArgumentList ([System.Console]::OpenStandardInput())
$bytes = $reader.ReadBytes(%(length)d)
$provider = New-Object -TypeName System.Security.Cryptography.SHA256CryptoServiceProvider
$digest = [System.BitConverter]::ToString($provider.ComputeHash($bytes)) -replace '-', ''
if ($digest -ne '%(digest)s') {
    [System.Console]::Error.WriteLine('mail2fax.m365: the script arrived changed, {0} bytes', $bytes.Length)
    exit 90
}
& ([scriptblock]::Create([System.Text.Encoding]::ASCII.GetString($bytes))) -Reader $reader
"""

CHANGED_SCRIPT = "mail2fax.m365: the script arrived changed"
SCRIPT_BYTES = SCRIPT.encode("ascii")
BOOTSTRAP = _BOOTSTRAP % {"length": len(SCRIPT_BYTES), "digest": hashlib.sha256(SCRIPT_BYTES).hexdigest().upper()}
EXECUTABLES: t.Mapping[str, str] = {"powershell": "powershell.exe", "pwsh": "pwsh.exe"}
ARGUMENTS = (
    *("-NoLogo", "-NoProfile", "-NonInteractive"),
    # Connecting writes a module into the temporary folder and imports it. A policy of the domain still wins over this.
    *("-ExecutionPolicy", "RemoteSigned"),
    # Errors as text: as CLIXML they would have to be unpacked.
    *("-OutputFormat", "Text"),
    *("-EncodedCommand", base64.b64encode(BOOTSTRAP.encode("utf-16-le")).decode("ascii")),
)
CMDLETS = frozenset(re.findall(r"^    '([A-Z][a-z]+-[A-Za-z]+)'$", SCRIPT, re.MULTILINE))
"""The cmdlets that the script accepts."""


def nonce() -> str:
    """What tells the answers of one process from everything else that is printed there; it follows the script."""
    return secrets.token_hex(NONCE // 2)


def frame(document: t.Mapping[str, t.Any]) -> bytes:
    """A request as it goes down standard input: its length, then JSON in ASCII with every text marked."""
    body = json.dumps(_wire(document), separators=(",", ":")).encode("ascii")
    if len(body) >= 10**DIGITS:
        raise ValueError(f"a request of {len(body)} bytes does not fit its length field")
    return b"%0*d%s" % (DIGITS, len(body), body)


def _wire(value: t.Any) -> t.Any:
    if isinstance(value, str):
        return f"={value}"
    if isinstance(value, t.Mapping):
        return {key: _wire(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_wire(item) for item in value]
    return value


def unwire(value: t.Any) -> t.Any:
    """What the script makes of a parsed request (for whoever plays the host)."""
    if isinstance(value, str):
        return value[1:]
    if isinstance(value, dict):
        return {key: unwire(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unwire(item) for item in value]
    return value
