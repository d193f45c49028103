from salur.registry.main import main

main()
