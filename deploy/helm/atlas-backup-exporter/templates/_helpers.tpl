{{/* Value of the label app.kubernetes.io/name, which is also the Prometheus job. */}}
{{- define "atlas-backup-exporter.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end }}

{{/* Name of the resources: 52 characters, because a StatefulSet appends a hash for its labels. */}}
{{- define "atlas-backup-exporter.fullname" -}}
{{- $name := include "atlas-backup-exporter.name" . -}}
{{- $fullname := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $fullname | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "atlas-backup-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "atlas-backup-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "atlas-backup-exporter.labels" -}}
{{ include "atlas-backup-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "atlas-backup-exporter.serviceAccountName" -}}
{{- $default := ternary (include "atlas-backup-exporter.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $default -}}
{{- end }}

{{/* Files of the ConfigMap. */}}
{{- define "atlas-backup-exporter.files" -}}
{{- $ca := ternary (dict "ca.crt" .Values.atlas.ca) dict (ne .Values.atlas.ca "") -}}
{{- merge (dict "config.toml" .Values.config) $ca | toYaml -}}
{{- end }}

{{/* Name of the Secret with the web configuration; empty without one. */}}
{{- define "atlas-backup-exporter.webSecret" -}}
{{- if .Values.web.existingSecret -}}
{{- .Values.web.existingSecret -}}
{{- else if or .Values.web.config .Values.web.tlsSecret -}}
{{- include "atlas-backup-exporter.fullname" . }}-web
{{- end -}}
{{- end }}

{{/* Web configuration, with the certificate of web.tlsSecret. */}}
{{- define "atlas-backup-exporter.web" -}}
{{- $files := dict "cert_file" "/run/secrets/tls/tls.crt" "key_file" "/run/secrets/tls/tls.key" -}}
{{- $tls := ternary (dict "tls_server_config" $files) dict (ne .Values.web.tlsSecret "") -}}
{{- mergeOverwrite $tls (deepCopy .Values.web.config) | toYaml -}}
{{- end }}

{{/* Scheme of scrapes and probes. With web.existingSecret, only serviceMonitor.tlsConfig says that it is HTTPS. */}}
{{- define "atlas-backup-exporter.scheme" -}}
{{- $external := and .Values.web.existingSecret .Values.serviceMonitor.tlsConfig -}}
{{- or .Values.web.tlsSecret .Values.web.config.tls_server_config $external | empty | ternary "http" "https" -}}
{{- end }}

{{/*
Probe of a path. The kubelet has neither passwords nor client certificates: with client certificates,
or with an unknown web configuration, the probe only opens a connection.
*/}}
{{- define "atlas-backup-exporter.probe" -}}
{{- $root := index . 0 -}}
{{- $tls := $root.Values.web.config.tls_server_config | default dict -}}
{{- $requires := list "RequireAnyClientCert" "RequireAndVerifyClientCert" | has $tls.client_auth_type -}}
{{- if or $requires $tls.client_allowed_sans $root.Values.web.existingSecret -}}
tcpSocket:
  port: metrics
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: metrics
  scheme: {{ include "atlas-backup-exporter.scheme" $root | upper }}
{{- end }}
{{- end }}

{{/* Environment variables of the container. */}}
{{- define "atlas-backup-exporter.env" -}}
{{- if gt (int .Values.shard.total) 1 }}
- name: ATLAS_BACKUP_EXPORTER__SHARD__TOTAL
  value: {{ .Values.shard.total | quote }}
{{- end }}
{{- if .Values.atlas.ca }}
- name: ATLAS_BACKUP_EXPORTER__ATLAS__CA_FILE
  value: /etc/atlas-backup-exporter/ca.crt
{{- end }}
{{- with .Values.links.runbooks }}
- name: ATLAS_BACKUP_EXPORTER__LINKS__RUNBOOKS
  value: {{ . | quote }}
{{- end }}
{{- with .Values.links.grafana }}
- name: ATLAS_BACKUP_EXPORTER__LINKS__DASHBOARD
  value: {{ . | trimSuffix "/" }}/d/atlas-backup-export-cluster?var-project={project_id}&var-cluster={cluster_name}
{{- end }}
{{- with .Values.proxy.url }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.proxy.existingSecret }}
- name: HTTPS_PROXY
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: url
{{- end }}
{{- with .Values.proxy.noProxy }}
- name: NO_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
