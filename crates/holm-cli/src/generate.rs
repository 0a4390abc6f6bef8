//! The man page and completions, from the same table as the help.

use crate::{arguments, report};
use clap::ArgMatches;
use std::io::Write;
use std::process::ExitCode;

pub(crate) fn generate(matches: &ArgMatches) -> ExitCode {
    let mut text = Vec::new();
    let made = match matches.subcommand() {
        Some(("completions", matches)) => {
            if let Some(shell) = matches.get_one::<clap_complete::Shell>("shell") {
                clap_complete::generate(*shell, &mut arguments::command(), "holm", &mut text);
            }
            Ok(())
        }
        _ => man(&mut text),
    };
    match made {
        Ok(()) => report::printed(&text),
        Err(error) => report::own(&format!("cannot print: {error}")),
    }
}

/// One page: the command, then each of its own commands with all options.
fn man(to: &mut Vec<u8>) -> std::io::Result<()> {
    let command = arguments::command();
    clap_mangen::Man::new(command.clone()).render(to)?;
    for sub in command.get_subcommands() {
        let page = clap_mangen::Man::new(sub.clone().display_name(format!("holm-{}", sub.get_name())));
        writeln!(to, ".SH \"HOLM {}\"", sub.get_name().to_uppercase())?;
        page.render_description_section(to)?;
        page.render_options_section(to)?;
        for below in sub.get_subcommands().filter(|_| sub.get_name() == "root") {
            let title = format!("holm root {}", below.get_name());
            let page = clap_mangen::Man::new(below.clone().display_name(title.replace(' ', "-")));
            writeln!(to, ".SS \"{title}\"")?;
            page.render_description_section(to)?;
            page.render_options_section(to)?;
        }
        page.render_extra_section(to)?;
    }
    Ok(())
}
