"""Results for people: tables, figures, the HTML report, the privacy card, exports. Reads results, computes nothing new.

Import the module you need (`leaq.reporting.tables`, `.figures`, `.html`, `.card`, `.exports`); drawing libraries
are loaded only by the functions that draw.
"""
