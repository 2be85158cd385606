{{/* The pod of a component. Takes (dict "root" $ "name" name "component" block). */}}
{{- define "modelux.pod" -}}
metadata:
  labels: {{- include "modelux.labels" . | nindent 4 }}
  annotations:
    prometheus.io/scrape: "true"
    prometheus.io/port: "9000"
spec:
  serviceAccountName: {{ include "modelux.account" . }}
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: {{ .component.terminationGracePeriodSeconds | default 30 }}
  securityContext: {{- toYaml .root.Values.podSecurityContext | nindent 4 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "modelux.selector" . | nindent 10 }}
  containers:
    - name: {{ .name | replace "_" "-" }}
      image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag }}"
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: ["run", {{ .name | quote }}]
      env: {{- include "modelux.env" . | nindent 8 }}
      ports:
        {{- if .component.port }}
        - name: {{ .component.protocol | default "http" }}
          containerPort: {{ .component.port }}
        {{- end }}
        - name: health
          containerPort: 9000
      startupProbe:
        httpGet: {path: /livez, port: health}
        periodSeconds: 1
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: health}
        periodSeconds: 10
      readinessProbe:
        httpGet: {path: /readyz, port: health}
        periodSeconds: 5
      {{- if .component.port }}
      lifecycle:
        preStop:
          exec: {command: ["sleep", "5"]}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      resources: {{- toYaml .component.resources | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        {{- with .component.storage }}
        - name: data
          mountPath: {{ .mountPath }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
{{- end }}
