"""`python -m salur.payments`"""

from salur.payments.main import main

main()
