locals {
  service_filter = "resource.type=\"cloud_run_revision\" AND resource.label.\"service_name\"=starts_with(\"${local.name}-\")"

  api_alerts = {
    api_unreachable = {
      title    = "The API does not answer from outside"
      severity = "CRITICAL"
      combiner = "OR"
      conditions = [{
        name = "from two places or more"
        filter = join(" AND ", [
          "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\"",
          "metric.label.\"check_id\"=\"${google_monitoring_uptime_check_config.api.uptime_check_id}\"",
          "resource.type=\"uptime_url\"",
        ])
        threshold   = 1
        duration    = "60s"
        aggregation = { period = "300s", aligner = "ALIGN_NEXT_OLDER", reducer = "REDUCE_COUNT_FALSE", by = ["resource.label.host"] }
      }]
    }
    error_rate = {
      title    = "Functions answer with errors"
      severity = "ERROR"
      combiner = "OR"
      conditions = [{
        name        = "above 2 % of all requests"
        filter      = "metric.type=\"run.googleapis.com/request_count\" AND ${local.service_filter} AND metric.label.\"response_code_class\"=\"5xx\""
        of          = "metric.type=\"run.googleapis.com/request_count\" AND ${local.service_filter}"
        threshold   = 0.02
        duration    = "300s"
        aggregation = { period = "300s", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM" }
      }]
    }
  }
}
