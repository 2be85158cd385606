{{/* Labels that every object of a component carries. Takes (dict "root" $ "name" component). */}}
{{- define "modelux.labels" -}}
app.kubernetes.io/name: modelux
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{- define "modelux.selector" -}}
app.kubernetes.io/name: modelux
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "modelux.fullname" -}}
{{ printf "%s-%s" .root.Release.Name (.name | replace "_" "-") | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "modelux.account" -}}
{{ if .root.Values.serviceAccount.create }}{{ .root.Release.Name }}-modelux{{ else }}default{{ end }}
{{- end }}

{{/* One variable from a named secret. Takes (dict "name" variable "from" block). */}}
{{- define "modelux.secretEnv" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ required (printf "%s: existingSecret must name a secret" .name) .from.existingSecret }}
      key: {{ .from.key }}
{{- end }}

{{/* The environment of a component: what it needs of the platform, then its own. */}}
{{- define "modelux.env" -}}
- name: MODELUX_HEALTH_HOST
  value: 0.0.0.0
- name: MODELUX_HEALTH_PORT
  value: "9000"
{{- $databaseBus := and (has "bus" .component.needs) (eq .root.Values.bus.url "postgresql") }}
{{- if has "database" .component.needs }}
{{ include "modelux.secretEnv" (dict "name" "MODELUX_DATABASE_URL" "from" .root.Values.database) }}
{{- end }}
{{- if has "clickhouse" .component.needs }}
{{ include "modelux.secretEnv" (dict "name" "MODELUX_CLICKHOUSE_URL" "from" .root.Values.clickhouse) }}
{{- end }}
{{- if has "encryption" .component.needs }}
{{ include "modelux.secretEnv" (dict "name" "MODELUX_ENCRYPTION_KEY" "from" .root.Values.encryption) }}
{{- end }}
{{- if $databaseBus }}
{{ include "modelux.secretEnv" (dict "name" "MODELUX_BUS_URL" "from" .root.Values.database) }}
{{- else if has "bus" .component.needs }}
- name: MODELUX_BUS_URL
  value: {{ .root.Values.bus.url | quote }}
{{- end }}
{{- if has "config" .component.needs }}
- name: MODELUX_CONFIG_URL
  value: dns:///{{ include "modelux.fullname" (dict "root" .root "name" "config") }}:{{ .root.Values.components.config.port }}
{{- end }}
{{- if has "replay" .component.needs }}
- name: MODELUX_REPLAY_URL
  value: dns:///{{ include "modelux.fullname" (dict "root" .root "name" "replay") }}:{{ .root.Values.components.replay.port }}
{{- end }}
{{- if has "embedding" .component.needs }}
- name: MODELUX_EMBEDDING_URL
  value: dns:///{{ include "modelux.fullname" (dict "root" .root "name" "embedding") }}:{{ .root.Values.components.embedding.port }}
{{- end }}
{{- if has "judge" .component.needs }}
- name: MODELUX_JUDGE_URL
  value: dns:///{{ include "modelux.fullname" (dict "root" .root "name" "judge") }}:{{ .root.Values.components.judge.port }}
{{- end }}
{{- range $name, $from := .component.secretEnv }}
{{ include "modelux.secretEnv" (dict "name" $name "from" $from) }}
{{- end }}
{{- range $name, $value := .component.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
