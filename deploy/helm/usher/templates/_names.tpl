{{/* Name of everything: that of the release, with the chart's if it is not in it. */}}
{{- define "usher.name" -}}
{{- if contains "usher" .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-usher" .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* Labels of everything; argument: (dict "context" . "component" "manager"). */}}
{{- define "usher.labels" -}}
{{ include "usher.selector" . }}
app.kubernetes.io/version: {{ .context.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .context.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .context.Chart.Name .context.Chart.Version | quote }}
{{- end -}}

{{- define "usher.selector" -}}
app.kubernetes.io/name: usher
app.kubernetes.io/instance: {{ .context.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* The labels that the launcher gives to the pods of bots. */}}
{{- define "usher.botSelector" -}}
usher.kind: bot
usher.installation: {{ .Values.installation }}
{{- end -}}

{{/* An image; argument: (dict "context" . "name" "usher-bot"). */}}
{{- define "usher.image" -}}
{{- $images := .context.Values.images -}}
{{- if $images.registry }}{{ $images.registry }}/{{ end }}{{ .name }}:{{ $images.tag | default .context.Chart.AppVersion }}
{{- end -}}

{{- define "usher.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "usher.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "usher.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* A variable out of the secret; argument: (dict "context" . "name" … "key" …). */}}
{{- define "usher.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef: {name: {{ .context.Values.existingSecret }}, key: {{ .key }}}
{{- end -}}
