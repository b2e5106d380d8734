"""The reports: views of one stream of results, or of several side by side.

    failure    what is said of one result, as data and as text; all others use it
    junit      for a machine that counts tests
    markdown   for the page of a CI job
    evidence   captures of what was not passed, for Wireshark
    page       one HTML file for people
    write      all of them, into a folder

Nothing here decides anything: the verdicts are in the stream. What a subject said is shown as text, whatever it is.
"""
