locals {
  log_metric = { for name, metric in google_logging_metric.this : name =>
    "metric.type=\"logging.googleapis.com/user/${metric.name}\" AND resource.type=\"cloud_run_revision\""
  }
  # A day, and the hour that a day may have more.
  day = "90000s"

  # Fewer than one run that ended well in so long; no line at all is none.
  missed = { for name, period in {
    sweep_stale_sessions = "600s"
    maintain_partitions  = local.day
    archive_segments     = local.day
    } : name => {
    name        = "no run of ${name} ended well in ${period}"
    filter      = "${local.log_metric["job_runs"]} AND metric.label.\"function\"=\"${name}\""
    comparison  = "COMPARISON_LT"
    threshold   = 1
    duration    = "60s"
    missing     = "EVALUATION_MISSING_DATA_ACTIVE"
    aggregation = { period = period, aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM" }
  } }

  job_alerts = {
    sweep_missed = {
      title      = "Silent sessions are not ended"
      severity   = "ERROR"
      combiner   = "OR"
      conditions = [local.missed["sweep_stale_sessions"]]
    }
    archival_missed = {
      title      = "Nothing was archived for a day"
      severity   = "WARNING"
      combiner   = "OR"
      conditions = [local.missed["archive_segments"]]
    }
    archival_refused = {
      title    = "A month's archive is not what the database has"
      severity = "ERROR"
      combiner = "OR"
      conditions = [{
        name        = "a month waits for a reason that does not pass by itself"
        filter      = "${local.log_metric["archive_waits"]} AND metric.label.\"reason\"=one_of(\"totals_differ\",\"not_read_back\",\"partly_archived\")"
        threshold   = 0
        aggregation = { period = "3600s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM" }
      }]
    }
    partitions_late = {
      title    = "Partitions are late"
      severity = "ERROR"
      combiner = "OR"
      conditions = [
        local.missed["maintain_partitions"],
        {
          name        = "upkeep found that it was late"
          filter      = local.log_metric["upkeep_late"]
          threshold   = 0
          aggregation = { period = "3600s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM" }
        },
      ]
    }
  }
}
