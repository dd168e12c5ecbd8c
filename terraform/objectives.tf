variable "objectives" {
  description = "Of progress, over 28 days: the share of requests that are answered, and the share that are within so many milliseconds."
  type = object({
    availability = optional(number, 0.999)
    latency      = optional(number, 0.99)
    latency_ms   = optional(number, 300)
  })
  default = {}

  validation {
    condition     = alltrue([for goal in [var.objectives.availability, var.objectives.latency] : goal >= 0.9 && goal < 0.9999])
    error_message = "Between 0.9 and 0.9999: what stands below it is no better."
  }
}

locals {
  # As the load balancer saw it, so that what never reached the function counts, too.
  progress_filter = join(" AND ", [
    "resource.type=\"https_lb_rule\"",
    "resource.label.\"backend_target_name\"=\"${google_compute_backend_service.function["record_progress"].name}\"",
  ])
}

resource "google_monitoring_custom_service" "progress" {
  service_id   = "${local.name}-progress"
  display_name = "Progress is recorded"
  depends_on   = [google_project_service.needed]
}

resource "google_monitoring_slo" "availability" {
  service             = google_monitoring_custom_service.progress.service_id
  slo_id              = "availability"
  display_name        = "Progress is answered"
  goal                = var.objectives.availability
  rolling_period_days = 28

  request_based_sli {
    good_total_ratio {
      total_service_filter = "metric.type=\"loadbalancing.googleapis.com/https/request_count\" AND ${local.progress_filter}"
      bad_service_filter   = "metric.type=\"loadbalancing.googleapis.com/https/request_count\" AND ${local.progress_filter} AND metric.label.\"response_code_class\"=500"
    }
  }
}

resource "google_monitoring_slo" "latency" {
  service             = google_monitoring_custom_service.progress.service_id
  slo_id              = "latency"
  display_name        = "Progress is answered within ${var.objectives.latency_ms} ms"
  goal                = var.objectives.latency
  rolling_period_days = 28

  request_based_sli {
    distribution_cut {
      distribution_filter = "metric.type=\"loadbalancing.googleapis.com/https/backend_latencies\" AND ${local.progress_filter} AND metric.label.\"response_code_class\"=200"

      range {
        max = var.objectives.latency_ms
      }
    }
  }
}
