locals {
  database_filter = "resource.type=\"cloudsql_database\" AND resource.label.\"database_id\"=starts_with(\"${var.project_id}:${local.name}\")"
  of_an_instance  = { period = "300s", aligner = "ALIGN_MEAN", reducer = "REDUCE_SUM", by = ["resource.label.database_id"] }

  database_alerts = {
    connections_near_limit = {
      title    = "The database's connections are nearly used up"
      severity = "CRITICAL"
      combiner = "OR"
      conditions = [{
        name        = "above 80 % of ${var.database.max_connections}"
        filter      = "metric.type=\"cloudsql.googleapis.com/database/postgresql/num_backends\" AND ${local.database_filter}"
        threshold   = var.database.max_connections * 0.8
        duration    = "300s"
        aggregation = local.of_an_instance
      }]
    }
    database_disk = {
      title    = "The database's disk fills up"
      severity = "ERROR"
      combiner = "OR"
      conditions = [{
        name        = "above 80 % of the ${var.database.disk_limit_gb} GB that it may grow to"
        filter      = "metric.type=\"cloudsql.googleapis.com/database/disk/bytes_used\" AND ${local.database_filter}"
        threshold   = var.database.disk_limit_gb * 800000000
        duration    = "300s"
        aggregation = local.of_an_instance
      }]
    }
    database_cpu = {
      title    = "The database's processors are busy"
      severity = "WARNING"
      combiner = "OR"
      conditions = [{
        name        = "above 85 % for a quarter of an hour"
        filter      = "metric.type=\"cloudsql.googleapis.com/database/cpu/utilization\" AND ${local.database_filter}"
        threshold   = 0.85
        duration    = "900s"
        aggregation = local.of_an_instance
      }]
    }
  }

  replica_alerts = { for name, alert in {
    replica_lag = {
      title    = "The replica is behind"
      severity = "WARNING"
      combiner = "OR"
      conditions = [{
        name        = "more than a minute"
        filter      = "metric.type=\"cloudsql.googleapis.com/database/replication/replica_lag\" AND ${local.database_filter}"
        threshold   = 60
        duration    = "300s"
        aggregation = { period = "60s", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", by = ["resource.label.database_id"] }
      }]
    }
  } : name => alert if local.has_replica }
}
