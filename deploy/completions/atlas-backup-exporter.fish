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

complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l config.file -d 'Path to the configuration file' -r -F
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l web.listen-address -d 'Address to listen on, host:port or :port; repeatable' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l web.telemetry-path -d 'Path under which to expose metrics' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l web.config.file -d 'Path to the web configuration file: TLS and authentication' -r -F
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l web.max-requests -d 'Maximum number of concurrent requests; 0 for no limit' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l shard.index -d 'Index of this shard from 0, or auto for the number at the end of the host name; overrides the configuration' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l log.level -d 'Minimum severity of log messages [default: info; error for check]' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l log.format -d 'Output format of log messages' -r -f -a "logfmt\t''
json\t''"
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l web.systemd-socket -d 'Use systemd socket activation instead of listen addresses'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l web.enable-lifecycle -d 'Enable POST /-/reload. SIGHUP always reloads'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -l once -d 'Poll everything once, print the metrics and exit'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -s h -l help -d 'Print help'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -s V -l version -d 'Print version'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -f -a "demo" -d 'Run the exporter with a simulated Atlas; needs no account and no file'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -f -a "check" -d 'Check configuration, credentials, roles and every cluster, and suggest fixes'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l atlas.listen-address -d 'Loopback address of the simulated Atlas; port 0 for a free port' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l config.file -d 'Path to the configuration file' -r -F
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l web.listen-address -d 'Address to listen on, host:port or :port; repeatable' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l web.telemetry-path -d 'Path under which to expose metrics' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l web.config.file -d 'Path to the web configuration file: TLS and authentication' -r -F
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l web.max-requests -d 'Maximum number of concurrent requests; 0 for no limit' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l shard.index -d 'Index of this shard from 0, or auto for the number at the end of the host name; overrides the configuration' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l log.level -d 'Minimum severity of log messages [default: info; error for check]' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l log.format -d 'Output format of log messages' -r -f -a "logfmt\t''
json\t''"
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l web.systemd-socket -d 'Use systemd socket activation instead of listen addresses'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -l web.enable-lifecycle -d 'Enable POST /-/reload. SIGHUP always reloads'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand demo" -s h -l help -d 'Print help'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l output -d 'Output format: a table for people, or JSON for scripts' -r -f -a "table\t''
json\t''"
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l config.file -d 'Path to the configuration file' -r -F
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l web.listen-address -d 'Address to listen on, host:port or :port; repeatable' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l web.telemetry-path -d 'Path under which to expose metrics' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l web.config.file -d 'Path to the web configuration file: TLS and authentication' -r -F
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l web.max-requests -d 'Maximum number of concurrent requests; 0 for no limit' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l shard.index -d 'Index of this shard from 0, or auto for the number at the end of the host name; overrides the configuration' -r
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l log.level -d 'Minimum severity of log messages [default: info; error for check]' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l log.format -d 'Output format of log messages' -r -f -a "logfmt\t''
json\t''"
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l web.systemd-socket -d 'Use systemd socket activation instead of listen addresses'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -l web.enable-lifecycle -d 'Enable POST /-/reload. SIGHUP always reloads'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand check" -s h -l help -d 'Print help'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check help" -f -a "demo" -d 'Run the exporter with a simulated Atlas; needs no account and no file'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check help" -f -a "check" -d 'Check configuration, credentials, roles and every cluster, and suggest fixes'
complete -c atlas-backup-exporter -n "__fish_atlas_backup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
