"""The reports: views of one stream of results, or of several side by side.

    operations one object per operation: how its cases are presented, here and by `tunproof show`
    blocks     the pieces of which a case is shown in full
    vnet       vnet headers as rows
    failure    what is said of one result, as data and as text; all others use it
    mismatches what the judge found to differ, as people look at it
    figures    numbers and names of whole runs
    junit      for a machine that counts tests
    markdown   for the page of a CI job
    evidence   captures of what was not passed, for Wireshark
    page       one HTML file for people; pagedata has its cases, html what it shares with other pages
    write      all of them, into a folder

Nothing here decides anything: the verdicts are in the stream. What a subject said is shown as text, whatever it is.
"""
