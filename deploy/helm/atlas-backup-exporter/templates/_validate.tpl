{{/* Fails for values that contradict each other, or that cannot work. The schema checks single values. */}}
{{- define "atlas-backup-exporter.validate" -}}
{{- $values := .Values -}}
{{- if not $values.config -}}
{{- fail "config is required: set it to the TOML configuration of the exporter, as README.md of the chart shows" -}}
{{- end -}}
{{- if and $values.atlas.existingSecret $values.atlas.clientSecret -}}
{{- fail "atlas.existingSecret and atlas.clientSecret are both set: remove one" -}}
{{- end -}}
{{- if not (or $values.atlas.existingSecret $values.atlas.clientSecret) -}}
{{- fail "the secret of Atlas is missing: set atlas.existingSecret or atlas.clientSecret" -}}
{{- end -}}
{{- if not (contains "/run/secrets/atlas/" $values.config) -}}
{{- fail "config does not read the Secret of Atlas: set client_secret_file or private_key_file to a path below /run/secrets/atlas/" -}}
{{- end -}}
{{- if regexMatch "(?m)^[^#\n]*\\b(client_secret|private_key)[\"']?\\s*=" $values.config -}}
{{- fail "config has a secret, but becomes a ConfigMap: set client_secret_file or private_key_file instead" -}}
{{- end -}}
{{- if regexMatch "(?m)^\\s*(\\[\\s*)?[\"']?shard\\b" $values.config -}}
{{- fail "config has a shard: remove it, and set shard.total in the values" -}}
{{- end -}}
{{- if and (gt (int $values.shard.total) 1) (ne (int $values.replicas) 1) -}}
{{- fail "replicas must be 1 if shard.total is above 1: for shards with high availability, install the chart twice" -}}
{{- end -}}
{{- if and $values.web.config $values.web.existingSecret -}}
{{- fail "web.config and web.existingSecret are both set: remove one" -}}
{{- end -}}
{{- if contains "@" $values.proxy.url -}}
{{- fail "proxy.url has a password: put the address into a Secret, and set proxy.existingSecret" -}}
{{- end -}}
{{- if and $values.proxy.url $values.proxy.existingSecret -}}
{{- fail "proxy.url and proxy.existingSecret are both set: remove one" -}}
{{- end -}}
{{- if $values.serviceMonitor.enabled -}}
{{- $https := eq (include "atlas-backup-exporter.scheme" .) "https" -}}
{{- if and $https (not $values.serviceMonitor.tlsConfig) -}}
{{- fail "serviceMonitor.tlsConfig is required, because web has TLS: set ca and serverName" -}}
{{- end -}}
{{- if and $values.serviceMonitor.tlsConfig (not $https) -}}
{{- fail "serviceMonitor.tlsConfig is set, but web has no TLS: set web.tlsSecret, or remove it" -}}
{{- end -}}
{{- if and $values.web.config.basic_auth_users (not $values.serviceMonitor.basicAuth) -}}
{{- fail "serviceMonitor.basicAuth is required, because web.config has passwords" -}}
{{- end -}}
{{- end -}}
{{- end }}
