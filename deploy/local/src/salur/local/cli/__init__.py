"""The command line `salur`."""

import typer

from salur.local.cli import demo, doctor, importing, up, verify

app = typer.Typer(
    name="salur",
    help="Disburse social assistance and prove it.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("token")(up.token)
app.command("import")(importing.import_file)
app.command("cut")(importing.cut)
app.command("verify")(verify.verify)
app.command("receipt")(verify.receipt)
app.command("verify-receipt")(verify.verify_receipt)
app.command("doctor")(doctor.doctor)
