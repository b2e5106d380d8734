"""The reports: views of one stream of results, or of several side by side.

    operations one object per operation: how its cases are presented, here and by `tunproof show`
    blocks     the pieces from which a case is shown in full
    vnet       vnet headers as rows
    failure    the explanation of one result, as data and as text; all others use it
    causes     what one defect explains, in groups and in a line each
    comparison two runs compared, in lines and as values
    mismatches the judge's mismatches, as people look at them
    figures    numbers and names of whole runs
    junit      for tools that count tests
    markdown   for the page of a CI job
    evidence   captures of failed cases, for Wireshark
    page       one HTML file for people; pagedata has its cases, html what it shares with other pages
    write      all of them, into a folder

Nothing here decides anything: the verdicts are in the stream. What a subject wrote is shown as plain text.
"""
