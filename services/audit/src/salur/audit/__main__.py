from salur.audit.main import main

main()
