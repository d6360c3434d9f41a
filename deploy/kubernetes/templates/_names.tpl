{{/* Names, labels and environment that several objects share. */}}

{{/* selector: the labels that select the pods of a component. Takes (dict "root" $ "component" …). */}}
{{- define "smart-filter.selector" -}}
app.kubernetes.io/name: smart-filter
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .capability }}
smart-filter/capability: {{ include "smart-filter.fit" . }}
smart-filter/stage: {{ splitList "." . | first }}
{{- end }}
{{- end }}

{{- define "smart-filter.labels" -}}
{{ include "smart-filter.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* pool: the name of a capability's objects. Takes (dict "root" $ "capability" …). */}}
{{- define "smart-filter.pool" -}}
{{ include "smart-filter.fit" (printf "%s-%s" .root.Release.Name (.capability | replace "." "-")) }}
{{- end }}

{{/* fit: a name shortened to the length of a label (63 characters), made unique by a
     digest of all of it. Takes the name. */}}
{{- define "smart-filter.fit" -}}
{{- if gt (len .) 63 -}}
{{ trunc 52 . | trimSuffix "-" }}-{{ sha256sum . | trunc 10 }}
{{- else -}}
{{ . }}
{{- end -}}
{{- end }}

{{/* drainSeconds: the maximum time of a batch: one run of a stage, on its last attempt in a
     child process that is given half a minute more to start (workers' runner). */}}
{{- define "smart-filter.drainSeconds" -}}
{{ add .Values.stageSeconds 30 }}
{{- end }}

{{/* secret: a variable that holds a key of the secret. Takes (list $ variable key). */}}
{{- define "smart-filter.secret" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ (index . 0).Values.secret | quote }}
      key: {{ index . 2 }}
{{- end }}

{{/* settings: the environment of every process. */}}
{{- define "smart-filter.settings" -}}
- name: SMART_FILTER_DATA
  value: /var/lib/smart-filter
- name: HOME
  value: /tmp
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  # toString would turn a million into 1e+06.
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end }}

{{/* database: the database's address for a kind of process. Takes (list $ kind). */}}
{{- define "smart-filter.database" -}}
{{- $key := (index . 0).Values.databaseRoles | ternary (printf "database-url-%s" (index . 1)) "database-url" -}}
{{ include "smart-filter.secret" (list (index . 0) "SMART_FILTER_DATABASE_URL" $key) }}
{{- end }}

{{/* storageKeys: the bucket's keys for a kind of process. Takes (list $ kind). */}}
{{- define "smart-filter.storageKeys" -}}
{{- $suffix := (index . 0).Values.storageIdentities | ternary (printf "-%s" (index . 1)) "" -}}
{{ include "smart-filter.secret" (list (index . 0) "SMART_FILTER_STORAGE_ACCESS_KEY" (print "storage-access-key" $suffix)) }}
{{ include "smart-filter.secret" (list (index . 0) "SMART_FILTER_STORAGE_SECRET_KEY" (print "storage-secret-key" $suffix)) }}
{{- end }}

{{/* servers: the environment of processes that use the servers, without the database's address and the
     bucket's keys. */}}
{{- define "smart-filter.servers" -}}
{{ include "smart-filter.settings" . }}
- name: SMART_FILTER_POOLS
  value: {{ include "smart-filter.capabilities" . | fromJsonArray | join "," | quote }}
- name: SMART_FILTER_STAGE_SECONDS
  value: {{ .Values.stageSeconds | quote }}
{{ include "smart-filter.secret" (list . "SMART_FILTER_BROKER_URL" "broker-url") }}
- name: SMART_FILTER_STORAGE_URL
  value: {{ .Values.storage.url | quote }}
{{- with .Values.storage.publicUrl }}
- name: SMART_FILTER_STORAGE_PUBLIC_URL
  value: {{ . | quote }}
{{- end }}
- name: SMART_FILTER_STORAGE_BUCKET
  value: {{ .Values.storage.bucket | quote }}
- name: SMART_FILTER_STORAGE_REGION
  value: {{ .Values.storage.region | quote }}
{{- end }}

{{/* capabilities: the names of the enabled ones, as JSON. */}}
{{- define "smart-filter.capabilities" -}}
{{- $names := list }}
{{- range $name, $pool := .Values.capabilities }}
{{- if kindIs "map" $pool }}{{ $names = append $names $name }}{{ end }}
{{- end }}
{{- $names | toJson }}
{{- end }}

{{/* podDefaults: the common part of all pods. */}}
{{- define "smart-filter.podDefaults" -}}
automountServiceAccountToken: false
# Otherwise Kubernetes sets variables such as SMART_FILTER_API_PORT, after the names of services.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "smart-filter.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* scratch: the only writable folder of the root file system. */}}
{{- define "smart-filter.scratch" -}}
- name: scratch
  emptyDir:
    sizeLimit: 2Gi
{{- end }}

{{- define "smart-filter.weights" -}}
- name: weights
  persistentVolumeClaim:
    claimName: {{ .Values.weightsClaim | quote }}
{{- end }}

{{/* spread: pods on separate machines if there are enough. Takes the arguments of selector. */}}
{{- define "smart-filter.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "smart-filter.selector" . | nindent 8 }}
{{- end }}

{{/* budget: how many pods of a component can be evicted at once; a single pod can be evicted.
     Takes (dict "root" $ "component" … "name" …). */}}
{{- define "smart-filter.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  labels:
    {{- include "smart-filter.labels" . | nindent 4 }}
spec:
  maxUnavailable: 25%
  selector:
    matchLabels:
      {{- include "smart-filter.selector" . | nindent 6 }}
{{- end }}
