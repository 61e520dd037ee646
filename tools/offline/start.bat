@rem Open lesson 1 without a network: a double click will do.
@py "%~dp0start.py" %*
@if errorlevel 1 pause
