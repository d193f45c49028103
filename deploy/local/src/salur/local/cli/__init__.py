"""The command line `salur`."""

import sys

import typer

from salur.local.cli import (
    asyncapi,
    bank_check,
    conditions,
    cycle,
    decide,
    dedup,
    demo,
    doctor,
    evidence,
    feed,
    import_bench,
    importing,
    installation,
    ledger,
    operations,
    payments,
    population,
    programme,
    reveal,
    simulate,
    trail,
    up,
    verify,
    witness,
)
from salur.local.cli.output import answering

app = typer.Typer(
    name="salur",
    help="Disburse social assistance and prove it.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up")(up.up)
app.command("status")(operations.status)
app.command("token")(up.token)
app.command("demo")(demo.demo)
app.command("population")(population.population)
app.command("dedup-bench")(dedup.dedup_bench)
app.command("simulate")(answering(simulate.simulate))
app.command("conditions")(answering(conditions.conditions))
app.command("decide")(answering(decide.decide))
app.command("import")(importing.import_file)
app.command("accept")(importing.accept)
app.command("cut")(answering(importing.cut))
app.command("feed")(feed.feed)
app.command("import-bench")(import_bench.import_bench)
app.command("verify")(verify.verify)
app.command("ledger")(ledger.ledger)
app.command("completeness")(verify.completeness)
app.command("receipt")(verify.receipt)
app.command("verify-receipt")(verify.verify_receipt)
app.command("reveal")(reveal.reveal)
app.command("verify-opening")(reveal.verify_opening)
app.command("bank-check")(bank_check.bank_check)
app.command("bundle")(evidence.bundle)
app.command("verify-bundle")(evidence.verify_bundle)
app.command("witness")(witness.witness)
app.command("witnesses")(witness.witnesses)
app.add_typer(witness.log_app, name="log")
app.command("keys")(installation.keys)
app.command("topics")(answering(installation.topics))
app.command("acls")(installation.acls)
app.command("asyncapi")(asyncapi.asyncapi)
app.command("doctor")(doctor.doctor)
app.add_typer(programme.app, name="programme")
app.add_typer(cycle.app, name="cycle")
app.add_typer(payments.app, name="payments")
app.add_typer(trail.app, name="trail")


def main() -> None:
    """The program `salur`: what the file system refuses is told in a sentence, like every other refusal."""
    try:
        app()
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        typer.secho(
            f"{where}{error.strerror or type(error).__name__}: check the path and your rights", fg="red", err=True
        )
        sys.exit(1)
    except UnicodeDecodeError:
        typer.secho("a file given here is no UTF-8 text: is it the right one?", fg="red", err=True)
        sys.exit(1)


app.add_typer(operations.letters_app, name="dead-letters")
app.add_typer(operations.service_app, name="service")
