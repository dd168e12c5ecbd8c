# Counted from the lines that the functions write, see common/logs.py.
locals {
  log_lines = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^${local.name}-\""

  log_metrics = {
    job_runs = {
      description = "Runs of a job that ended well"
      filter      = "httpRequest.status=200 AND jsonPayload.function=(${join(" OR ", [for name in sort(keys(local.jobs)) : "\"${name}\""])})"
      labels      = { function = "EXTRACT(jsonPayload.function)" }
    }
    problems = {
      description = "Answers that are problem documents"
      filter      = "jsonPayload.problem:*"
      labels = {
        function = "EXTRACT(jsonPayload.function)"
        problem  = "EXTRACT(jsonPayload.problem)"
        status   = "EXTRACT(httpRequest.status)"
      }
    }
    upkeep_late = {
      description = "Upkeep of the partitions found that it was late"
      filter      = "jsonPayload.function=\"maintain_partitions\" AND jsonPayload.message=\"upkeep was late\""
      labels      = {}
    }
    archive_waits = {
      description = "A month was due and could not be archived"
      filter      = "jsonPayload.function=\"archive_segments\" AND jsonPayload.message=\"a month waits\""
      labels      = { reason = "EXTRACT(jsonPayload.reason)" }
    }
  }
}

resource "google_logging_metric" "this" {
  for_each = local.log_metrics

  name             = "${local.name}/${each.key}"
  description      = each.value.description
  filter           = "${local.log_lines} AND ${each.value.filter}"
  label_extractors = each.value.labels

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"

    dynamic "labels" {
      for_each = each.value.labels

      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }

  depends_on = [google_project_service.needed]
}
