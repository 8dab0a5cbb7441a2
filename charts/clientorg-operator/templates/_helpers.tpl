{{/* Labels by which pods are selected. They can never change in a Deployment, so that nothing of the release is in them. */}}
{{- define "clientorg-operator.selectorLabels" -}}
app.kubernetes.io/name: clientorg-operator
{{- end -}}

{{- define "clientorg-operator.labels" -}}
{{- $labels := dict
  "app.kubernetes.io/name" "clientorg-operator"
  "app.kubernetes.io/part-of" "clientorg-operator"
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- toYaml (merge $labels .Values.commonLabels) -}}
{{- end -}}

{{/* The block `annotations:` of an object, or nothing. Called with (list $ annotations-of-its-own). */}}
{{- define "clientorg-operator.annotations" -}}
{{- $root := index . 0 -}}
{{- with merge (dict) (index . 1) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Name of the operator's account, by which the policies know it. */}}
{{- define "clientorg-operator.username" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ .Values.serviceAccount.name }}
{{- end -}}

{{- define "clientorg-operator.image" -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- with .Values.image.tag -}}:{{ . }}{{- end -}}
@{{ .Values.image.digest }}
{{- else -}}
:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Refuses times of the election with which the operator would not start; the defaults are the operator's. */}}
{{- define "clientorg-operator.checkLeaseTimes" -}}
{{- $retry := float64 (.Values.settings.leaseRetrySeconds | default 2) -}}
{{- $renew := float64 (.Values.settings.renewDeadlineSeconds | default 10) -}}
{{- $lease := float64 (.Values.settings.leaseSeconds | default 15) -}}
{{- if not (and (lt $retry $renew) (lt $renew $lease)) -}}
{{- fail (printf "settings: leaseRetrySeconds (%v) must be below renewDeadlineSeconds (%v), and that below leaseSeconds (%v)" $retry $renew $lease) -}}
{{- end -}}
{{- end -}}
