function __fish_atlas_backup_exporter_needs_command
    for word in (commandline -opc)[2..]
        if contains -- $word demo check help
            echo $word
            return 1
        end
    end
end

function __fish_atlas_backup_exporter_using_subcommand
    set -l cmd (__fish_atlas_backup_exporter_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l config.file -d 'The configuration file, TOML; config.example.toml documents every key. The demo needs none' -r -F
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l web.listen-address -d 'Address to serve on, host:port or :port; may be repeated' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l web.telemetry-path -d 'Path of the metrics' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l web.config.file -d 'Who may look at the pages, and over what: TLS, client certificates, users, headers, in the form that exporters of Prometheus share' -r -F
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l web.max-requests -d 'Scrapes and status pages at once, 0 for any number; more are told to come back' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l shard.index -d 'Which shard this is, from 0 on, or auto: the number that the host name ends in. Wins over [shard] index' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l log.level -d 'Least severe messages to log: error, warn, info, debug or trace. [default: info; error for check]' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l log.format -d 'Form of the log on standard error' -r -f -a "logfmt\t''
json\t''"
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l web.systemd-socket -d 'Serve on the sockets that systemd hands over, and on no address'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l web.enable-lifecycle -d 'Answer POST /-/reload; SIGHUP always reads the configuration again'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l once -d 'Ask everything once, print the metrics and exit; 1 if anything was not well'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -s h -l help -d 'Print help'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -s V -l version -d 'Print version'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -f -a "demo" -d 'Run an embedded Atlas and the exporter watching it; needs no account and no file'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -f -a "check" -d 'Ask every project and cluster of the configuration once, and say what to do about those that cannot be watched'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l config.file -d 'The configuration file, TOML; config.example.toml documents every key. The demo needs none' -r -F
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l web.listen-address -d 'Address to serve on, host:port or :port; may be repeated' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l web.telemetry-path -d 'Path of the metrics' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l web.config.file -d 'Who may look at the pages, and over what: TLS, client certificates, users, headers, in the form that exporters of Prometheus share' -r -F
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l web.max-requests -d 'Scrapes and status pages at once, 0 for any number; more are told to come back' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l shard.index -d 'Which shard this is, from 0 on, or auto: the number that the host name ends in. Wins over [shard] index' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l log.level -d 'Least severe messages to log: error, warn, info, debug or trace. [default: info; error for check]' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l log.format -d 'Form of the log on standard error' -r -f -a "logfmt\t''
json\t''"
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l web.systemd-socket -d 'Serve on the sockets that systemd hands over, and on no address'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l web.enable-lifecycle -d 'Answer POST /-/reload; SIGHUP always reads the configuration again'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -s h -l help -d 'Print help'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l output -d 'A table for people, or JSON for scripts' -r -f -a "table\t''
json\t''"
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l config.file -d 'The configuration file, TOML; config.example.toml documents every key. The demo needs none' -r -F
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l web.listen-address -d 'Address to serve on, host:port or :port; may be repeated' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l web.telemetry-path -d 'Path of the metrics' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l web.config.file -d 'Who may look at the pages, and over what: TLS, client certificates, users, headers, in the form that exporters of Prometheus share' -r -F
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l web.max-requests -d 'Scrapes and status pages at once, 0 for any number; more are told to come back' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l shard.index -d 'Which shard this is, from 0 on, or auto: the number that the host name ends in. Wins over [shard] index' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l log.level -d 'Least severe messages to log: error, warn, info, debug or trace. [default: info; error for check]' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l log.format -d 'Form of the log on standard error' -r -f -a "logfmt\t''
json\t''"
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l web.systemd-socket -d 'Serve on the sockets that systemd hands over, and on no address'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l web.enable-lifecycle -d 'Answer POST /-/reload; SIGHUP always reads the configuration again'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -s h -l help -d 'Print help'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check help" -f -a "demo" -d 'Run an embedded Atlas and the exporter watching it; needs no account and no file'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check help" -f -a "check" -d 'Ask every project and cluster of the configuration once, and say what to do about those that cannot be watched'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
