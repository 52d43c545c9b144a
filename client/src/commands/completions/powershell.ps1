Register-ArgumentCompleter -Native -CommandName 'PROGRAM' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    # Words as they are written: nothing in them is run, nothing is filled in.
    $words = @()
    foreach ($element in $commandAst.CommandElements) {
        if ($element.Extent.EndOffset -ge $cursorPosition) {
            break
        }
        if ($element -is [System.Management.Automation.Language.StringConstantExpressionAst]) {
            $words += $element.Value
        } else {
            $words += $element.Extent.Text
        }
    }
    $before = $env:VARIABLE
    try {
        $env:VARIABLE = 'powershell'
        # Behind a colon: an empty word by itself is handed on from PowerShell 7.3 on only.
        $lines = & 'PROGRAM' '--' @words ":$wordToComplete"
    } finally {
        $env:VARIABLE = $before
    }
    foreach ($line in $lines) {
        $word, $shown, $help = $line.Split("`t")
        [System.Management.Automation.CompletionResult]::new($word, $shown, 'ParameterValue', $help)
    }
}
