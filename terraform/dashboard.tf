# From what learners notice down to what may be the reason, three tiles in a row.
locals {
  lb_filter = "resource.type=\"https_lb_rule\" AND resource.label.\"url_map_name\"=\"${local.name}\""

  charts = [
    { title = "Error budget of progress left", filter = "select_slo_budget_fraction(\"${google_monitoring_slo.availability.name}\")", aligner = "ALIGN_MEAN" },
    { title = "Progress: milliseconds, 50 %", filter = "metric.type=\"loadbalancing.googleapis.com/https/backend_latencies\" AND ${local.progress_filter}", aligner = "ALIGN_PERCENTILE_50", reducer = "REDUCE_MEAN" },
    { title = "Progress: milliseconds, 99 %", filter = "metric.type=\"loadbalancing.googleapis.com/https/backend_latencies\" AND ${local.progress_filter}", aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX" },

    { title = "Requests a second, by status", filter = "metric.type=\"loadbalancing.googleapis.com/https/request_count\" AND ${local.lb_filter}", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["metric.label.response_code_class"] },
    { title = "Requests a second, by function", filter = "metric.type=\"run.googleapis.com/request_count\" AND ${local.service_filter}", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.label.service_name"] },
    { title = "Errors a second, by function", filter = "metric.type=\"run.googleapis.com/request_count\" AND ${local.service_filter} AND metric.label.\"response_code_class\"=\"5xx\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.label.service_name"] },

    { title = "Problems a minute, by kind", filter = local.log_metric["problems"], aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.problem"] },
    { title = "Refused by the edge, by backend", filter = "metric.type=\"networksecurity.googleapis.com/https/request_count\" AND resource.type=\"network_security_policy\" AND metric.label.\"blocked\"=true", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["metric.label.backend_target_name"] },
    { title = "Instances, by function", filter = "metric.type=\"run.googleapis.com/container/instance_count\" AND ${local.service_filter}", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = ["resource.label.service_name"] },

    { title = "Connections, of ${var.database.max_connections}", filter = "metric.type=\"cloudsql.googleapis.com/database/postgresql/num_backends\" AND ${local.database_filter}", aligner = "ALIGN_MEAN", reducer = "REDUCE_SUM", by = ["resource.label.database_id"] },
    { title = "Database: processors", filter = "metric.type=\"cloudsql.googleapis.com/database/cpu/utilization\" AND ${local.database_filter}", aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", by = ["resource.label.database_id"] },
    { title = "Database: bytes on disk", filter = "metric.type=\"cloudsql.googleapis.com/database/disk/bytes_used\" AND ${local.database_filter}", aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", by = ["resource.label.database_id"] },

    { title = "Database: commits a second", filter = "metric.type=\"cloudsql.googleapis.com/database/postgresql/transaction_count\" AND ${local.database_filter} AND metric.label.\"transaction_type\"=\"commit\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.label.database_id"] },
    { title = "Database: waiting for a lock, µs a second", filter = "metric.type=\"cloudsql.googleapis.com/database/postgresql/insights/aggregate/lock_time\" AND resource.type=\"cloudsql_instance_database\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["metric.label.lock_type"] },
    { title = "Replica: seconds behind", filter = "metric.type=\"cloudsql.googleapis.com/database/replication/replica_lag\" AND ${local.database_filter}", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX" },

    { title = "Runs of jobs that ended well", filter = local.log_metric["job_runs"], aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.function"] },
    { title = "Months that wait for the archive, by reason", filter = local.log_metric["archive_waits"], aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.reason"] },
    { title = "Upkeep of partitions that was late", filter = local.log_metric["upkeep_late"], aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM" },
  ]

  # What is zero or empty is left out: Google does not tell of it, and every plan would put it back.
  tiles = [for number, chart in local.charts : merge(
    { for axis, place in { xPos = number % 3 * 16, yPos = 8 + floor(number / 3) * 12 } : axis => place if place > 0 },
    {
      width  = 16
      height = 12
      widget = {
        title = chart.title
        xyChart = { dataSets = [{
          plotType = "LINE"
          timeSeriesQuery = { timeSeriesFilter = {
            filter = chart.filter
            aggregation = { for name, value in {
              alignmentPeriod    = "60s"
              perSeriesAligner   = chart.aligner
              crossSeriesReducer = try(chart.reducer, null)
              groupByFields      = try(chart.by, null)
            } : name => value if value != null }
          } }
        }] }
      }
    },
  )]
}

resource "google_monitoring_dashboard" "on_call" {
  dashboard_json = jsonencode({
    displayName = "Watchledger: on call"
    mosaicLayout = {
      columns = 48
      tiles = concat([{
        width  = 48
        height = 8
        widget = { title = "What is wrong now", incidentList = { policyNames = sort([for alert in google_monitoring_alert_policy.this : alert.name]) } }
      }], local.tiles)
    }
  })
}
