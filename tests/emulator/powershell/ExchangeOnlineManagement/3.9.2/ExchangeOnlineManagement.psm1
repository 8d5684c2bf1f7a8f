# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Stands in for Microsoft's module in tests: what the collection's script calls, as far as it calls it, in a real
# PowerShell. It asks the emulated service as the real one asks Exchange: by HTTPS, through the proxy of the environment,
# for the cmdlets that the caller may run; each of them is a function with the parameters that it has in Exchange, and a
# call of one is an InvokeCommand with pages, typed values, warnings and errors. What of this is only remembered, and not
# read in a public text, is in the file words.json beside this one, marked as such.

Set-StrictMode -Version 3.0

$script:Words = Get-Content -Raw -Path (Join-Path $PSScriptRoot 'words.json') | ConvertFrom-Json -AsHashtable
$script:Connection = $null
$script:Session = $null

function Connect-ExchangeOnline {
    [CmdletBinding()]
    param(
        [string] $AccessToken,
        [string] $AppId,
        [string] $CertificateThumbprint,
        [switch] $ManagedIdentity,
        [string] $ManagedIdentityAccountId,
        [string] $Organization,
        [string[]] $CommandName = @('*'),
        [ValidateSet('O365Default', 'O365China', 'O365USGovGCCHigh', 'O365USGovDoD', 'O365GermanyCloud')]
        [string] $ExchangeEnvironmentName = 'O365Default',
        [switch] $SkipLoadingFormatData,
        [bool] $ShowBanner = $true
    )

    if (-not $AccessToken) {
        throw [System.NotSupportedException] $script:Words.only_access_token
    }
    $server = $script:Words.servers[$ExchangeEnvironmentName]
    $client = [System.Net.Http.HttpClient]::new()
    $client.Timeout = [timespan]::FromSeconds(120)
    $script:Session = @{
        client = $client
        server = $server
        token  = $AccessToken
        id     = [guid]::NewGuid()
        # The function that runs a cmdlet is called from a module of its own, and finds what it needs here.
        tenant = $Organization
    }
    $file = Invoke-Endpoint -Method 'GET' -Path "/adminapi/v1.0/$Organization/EXOModuleFile?Version=3.9.2"
    $row = $file['value'][0]
    $wanted = @($row['exportedCmdlets'] -split ',' | Where-Object { $name = $_; $CommandName | Where-Object { $name -like $_ } })
    # The real one writes what the service sends into the temporary folder and imports it from there.
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) ('tmpEXO_' + [System.IO.Path]::GetRandomFileName().Substring(0, 8))
    [void] (New-Item -ItemType Directory -Path $folder)
    $path = Join-Path $folder ((Split-Path -Leaf $folder) + '.psm1')
    $text = [System.Text.Encoding]::UTF8.GetString([System.Convert]::FromBase64String($row['content']))
    Set-Content -Path $path -Value $text -Encoding utf8NoBOM
    Import-Module -Name $path -Global -DisableNameChecking -Function $wanted -ArgumentList ${function:Invoke-Exchange}
    $script:Connection = [pscustomobject] @{
        ConnectionId     = $script:Session.id
        State            = 'Connected'
        Id               = 1
        Name             = 'ExchangeOnline_1'
        Organization     = $Organization
        TenantID         = $row['tenantId']
        TokenStatus      = 'Active'
        ModuleName       = $folder
        ModulePrefix     = ''
        ConnectionUri    = "https://$server"
    }
    if ($ShowBanner) {
        Write-Host $script:Words.banner
    }
}

function Get-ConnectionInformation {
    [CmdletBinding()]
    param()

    if ($null -ne $script:Connection) {
        $script:Connection
    }
}

function Disconnect-ExchangeOnline {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
    param()

    if ($null -eq $script:Connection -or -not $PSCmdlet.ShouldProcess('Exchange Online')) {
        return
    }
    Remove-Module -Name (Split-Path -Leaf $script:Connection.ModuleName) -ErrorAction SilentlyContinue
    Remove-Item -Recurse -Force -Path $script:Connection.ModuleName -ErrorAction SilentlyContinue
    $script:Session.client.Dispose()
    $script:Connection = $script:Session = $null
}

function Invoke-Exchange {
    # What every generated function calls: the cmdlet's own parameters, as they were bound.
    [CmdletBinding()]
    param([string] $CmdletName, [System.Collections.IDictionary] $BoundParameters)

    $parameters = @{}
    foreach ($name in $BoundParameters.Keys) {
        if ($name -in 'Verbose', 'Debug', 'ErrorVariable', 'WarningVariable', 'OutVariable', 'OutBuffer', 'PipelineVariable') {
            continue
        }
        $parameters[$name] = ConvertTo-Parameter -Value $BoundParameters[$name]
    }
    $body = @{ CmdletInput = @{ CmdletName = $CmdletName; Parameters = $parameters } } | ConvertTo-Json -Depth 8 -Compress
    $base = "/adminapi/beta/$($script:Session.tenant)/InvokeCommand"
    $path = $base
    while ($path) {
        $page = Invoke-Endpoint -Method 'POST' -Path $path -Body $body -CmdletName $CmdletName
        foreach ($row in $page['value']) {
            ConvertTo-Output -Row $row
        }
        if ($page['@adminapi.warnings']) {
            foreach ($warning in $page['@adminapi.warnings']) {
                Write-Warning -Message $warning
            }
        }
        $next = $page['@odata.nextLink']
        $path = if ($next) { $base + ([uri] $next).Query } else { $null }
    }
}

function ConvertTo-Parameter {
    param($Value)

    if ($Value -is [switch]) {
        return $Value.IsPresent
    }
    if ($Value -is [System.Collections.IDictionary]) {
        $table = @{ '@odata.type' = '#Exchange.GenericHashTable' }
        foreach ($key in $Value.Keys) {
            $table[[string] $key] = $Value[$key]
        }
        return $table
    }
    if ($Value -is [System.Management.Automation.ActionPreference]) {
        return $Value.ToString()
    }
    if ($Value -is [array]) {
        return , $Value
    }
    $Value
}

function ConvertTo-Output {
    # A row as an object with values of the types that the service names.
    param([System.Collections.IDictionary] $Row)

    $object = [ordered] @{}
    foreach ($name in $Row.Keys) {
        if ($name.Contains('@')) {
            continue
        }
        $value = $Row[$name]
        switch ($Row["$name@data.type"]) {
            'System.Guid' { $value = [guid] $value }
            'System.DateTime' {
                $value = if ($value -is [datetime]) { $value.ToUniversalTime() } else {
                    [datetime]::Parse($value, [cultureinfo]::InvariantCulture, 'AdjustToUniversal,AssumeUniversal')
                }
            }
        }
        if ($value -is [array]) {
            $value = [System.Collections.ArrayList] $value
        }
        elseif ($value -is [System.Collections.IDictionary]) {
            $value = [pscustomobject] $value
        }
        $object[$name] = $value
    }
    $object['RunspaceId'] = $script:Session.id
    [pscustomobject] $object
}

function Invoke-Endpoint {
    # One request, again where the service is busy. Returns the document; an error is written, as the module writes it.
    param([string] $Method, [string] $Path, [string] $Body, [string] $CmdletName)

    for ($attempt = 0; ; $attempt++) {
        $request = [System.Net.Http.HttpRequestMessage]::new([System.Net.Http.HttpMethod]::new($Method), "https://$($script:Session.server)$Path")
        $request.Headers.Authorization = [System.Net.Http.Headers.AuthenticationHeaderValue]::new('Bearer', $script:Session.token)
        [void] $request.Headers.TryAddWithoutValidation('client-request-id', [string] [guid]::NewGuid())
        [void] $request.Headers.TryAddWithoutValidation('Prefer', 'odata.maxpagesize=1000')
        if ($CmdletName) {
            [void] $request.Headers.TryAddWithoutValidation('X-CmdletName', $CmdletName)
        }
        if ($Body) {
            $request.Content = [System.Net.Http.StringContent]::new($Body, [System.Text.Encoding]::UTF8, 'application/json')
        }
        try {
            $answer = $script:Session.client.SendAsync($request).GetAwaiter().GetResult()
            $text = $answer.Content.ReadAsStringAsync().GetAwaiter().GetResult()
        }
        catch {
            throw [System.Net.Http.HttpRequestException] $script:Words.sending
        }
        $status = [int] $answer.StatusCode
        if ($status -lt 300) {
            return ConvertFrom-Json -InputObject $text -AsHashtable -DateKind String
        }
        if ($status -notin 429, 503 -or $attempt -ge $script:Words.retries) {
            break
        }
        Start-Sleep -Milliseconds 50
    }
    Write-ErrorMessage -Status $status -Text $text
}

function Write-ErrorMessage {
    [CmdletBinding()]
    param([int] $Status, [string] $Text)

    $document = try { ConvertFrom-Json -InputObject $Text -AsHashtable } catch { $null }
    $said = $null
    if ($document -is [System.Collections.IDictionary] -and $document['error'] -is [System.Collections.IDictionary]) {
        $details = $document['error']['details']
        if ($details) {
            $message = [string] $details[0]['message']
            $parts = $message -split '\|'
            $reason = if ($parts.Count -gt 2) { ($parts[1] -split '\.')[-1] } else { 'Exception' }
            $stamp = [datetime]::UtcNow.ToString('R', [cultureinfo]::InvariantCulture)
            $id = '[Server={0},RequestId={1},TimeStamp={2}]' -f $script:Words.server, [guid]::NewGuid(), $stamp
            $exception = [System.Exception]::new($message)
            $record = [System.Management.Automation.ErrorRecord]::new($exception, $id, 'NotSpecified', $null)
            $record.CategoryInfo.Reason = $reason
            $PSCmdlet.ThrowTerminatingError($record)
        }
        $said = [string] $document['error']['message']
    }
    if ($said) {
        throw [System.SystemException]::new($said)
    }
    $plain = $Text.Trim([char] 0, ' ', "`r", "`n", "`t")
    if (-not $document -and $plain) {
        throw [System.Exception]::new($Text)
    }
    $words = $script:Words.statuses[[string] $Status]
    if ($words) {
        throw [System.Exception]::new($words)
    }
    throw [System.Net.Http.HttpRequestException]::new(($script:Words.status -f $Status))
}
