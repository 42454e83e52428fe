//! Shell completions and the man page, which are generated from [`Cli`].

#[path = "../../../tests/support/golden.rs"]
mod golden;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use golden::assert_golden;

use crate::cli::{AFTER_HELP, Cli, command};

const NAME: &str = env!("CARGO_PKG_NAME");

/// Returns the command line without the revision, which differs from build to build.
fn cli() -> clap::Command {
    Cli::command().long_version(env!("CARGO_PKG_VERSION")).disable_help_subcommand(true)
}

#[test]
fn completions_equal_the_command_line() {
    for (shell, file) in [
        (Shell::Bash, format!("{NAME}.bash")),
        (Shell::Zsh, format!("_{NAME}")),
        (Shell::Fish, format!("{NAME}.fish")),
    ] {
        let mut made = Vec::new();
        clap_complete::generate(shell, &mut command(), NAME, &mut made);
        let made = corrected(&String::from_utf8(made).unwrap());
        assert_golden(&format!("deploy/completions/{file}"), &made);
    }
}

/// Corrects a script of `clap_complete` 4.6 for a name with hyphens and for flags with dots.
fn corrected(script: &str) -> String {
    // The bash script writes the name in two ways, so that it completes no command.
    let mut script = script.replace(&NAME.replace('-', "__subcmd__"), &NAME.replace('-', "__"));
    // The argparse of fish rejects flags with dots: look for the first word that is a command.
    if let (Some(from), Some(to)) =
        (script.find("# Print an optspec"), script.find("\nfunction __fish_atlas_backup_exporter_using"))
    {
        script.replace_range(from..to, FISH_COMMAND);
    }
    script
}

const FISH_COMMAND: &str = "\
function __fish_atlas_backup_exporter_needs_command
    for word in (commandline -opc)[2..]
        if contains -- $word demo check help
            echo $word
            return 1
        end
    end
end
";

#[test]
fn man_page_equals_the_command_line() {
    let mut made = Vec::new();
    let man = Man::new(cli()).manual("Prometheus exporters");
    man.render_title(&mut made).unwrap();
    man.render_name_section(&mut made).unwrap();
    man.render_synopsis_section(&mut made).unwrap();
    man.render_description_section(&mut made).unwrap();
    let mut rest = Roff::new();
    // Global options are in the section of the options.
    rest.control("SH", ["COMMANDS"]);
    let mut built = cli();
    built.build();
    for command in built.get_subcommands() {
        entry(&mut rest, command.get_name(), &command.get_about().unwrap().to_string());
        for option in
            command.get_arguments().filter(|option| !option.is_global_set() && option.get_id() != "help")
        {
            rest.control("RS", []);
            entry(&mut rest, &option.to_string(), &option.get_help().unwrap().to_string());
            rest.control("RE", []);
        }
    }
    rest.to_writer(&mut made).unwrap();
    man.render_options_section(&mut made).unwrap();
    let mut rest = Roff::new();
    for (title, section) in ["EXAMPLES", "EXIT STATUS"].into_iter().zip(AFTER_HELP.split("\n\n")) {
        rest.control("SH", [title]);
        // Examples have their meaning on the next line.
        for line in section.replace("\n      ", "  ").lines().skip(1) {
            let (term, meaning) = line.trim().split_once("  ").unwrap();
            entry(&mut rest, term, meaning.trim());
        }
    }
    rest.control("SH", ["FILES"]);
    entry(&mut rest, "config.toml", "The configuration file; config.example.toml documents every key.");
    rest.to_writer(&mut made).unwrap();
    man.render_version_section(&mut made).unwrap();
    assert_golden("docs/atlas-backup-exporter.1", &String::from_utf8(made).unwrap());
}

/// Adds a term in bold with its meaning below it.
fn entry(page: &mut Roff, term: &str, meaning: &str) {
    page.control("TP", []);
    page.text([bold(term)]);
    page.text([roman(meaning)]);
}
