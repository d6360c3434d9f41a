{{/* Rules of NetworkPolicies. */}}

{{/* to: a rule for connections to a server. Takes (dict "to" peers "port" number). */}}
{{- define "smart-filter.to" -}}
- to:
    {{- toYaml .to | nindent 4 }}
  ports:
    - { protocol: TCP, port: {{ .port }} }
{{- end }}

{{- define "smart-filter.toDns" -}}
- to:
    {{- toYaml .Values.network.dns | nindent 4 }}
  ports:
    - { protocol: UDP, port: 53 }
    - { protocol: TCP, port: 53 }
{{- end }}

{{- define "smart-filter.toPublic" -}}
- to:
    {{- toYaml .Values.network.public.to | nindent 4 }}
  ports:
    {{- range .Values.network.public.ports }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
{{- end }}

{{/* fromOperators: a rule for connections of operators to a port; without peers none. Takes
     (list $ port). */}}
{{- define "smart-filter.fromOperators" -}}
{{- with (index . 0).Values.network.operators }}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    - { protocol: TCP, port: {{ index $ 1 }} }
{{- end }}
{{- end }}

{{/* component: selects the pods of one component, at any capability. Takes (list $ component). */}}
{{- define "smart-filter.component" -}}
app.kubernetes.io/name: smart-filter
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}
