from salur.eligibility.main import main

main()
