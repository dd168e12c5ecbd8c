variable "jobs" {
  description = "When each job runs, how long a run may take, and how often one that failed is tried again before its next time."
  type = object({
    sweep_stale_sessions = optional(object({
      schedule    = optional(string, "* * * * *")
      deadline_s  = optional(number, 60)
      retry_count = optional(number, 0) # the next minute is a retry
    }), {})
    maintain_partitions = optional(object({
      schedule    = optional(string, "10 3 * * *")
      deadline_s  = optional(number, 540)
      retry_count = optional(number, 5)
    }), {})
    archive_segments = optional(object({
      schedule    = optional(string, "30 1 * * *")
      deadline_s  = optional(number, 1800)
      retry_count = optional(number, 3)
    }), {})
  })
  default = {}

  validation {
    condition     = alltrue([for job in values(var.jobs) : job.deadline_s >= 15 && job.deadline_s <= 1800])
    error_message = "Cloud Scheduler waits between 15 seconds and 30 minutes."
  }
  validation {
    condition     = alltrue([for job in values(var.jobs) : job.retry_count >= 0 && job.retry_count <= 5])
    error_message = "Cloud Scheduler tries again up to 5 times."
  }
}

variable "time_zone" {
  description = "Of the schedules (IANA). In one with summer time a day may have 25 hours, which is what the alerts bear."
  type        = string
  default     = "Etc/UTC"

  validation {
    condition     = can(regex("^[A-Z][A-Za-z_]+/[A-Za-z_/+-]+[0-9]*$", var.time_zone))
    error_message = "A time zone is written as Europe/Amsterdam."
  }
}

data "google_project" "this" {
  project_id = var.project_id
}

locals {
  scheduler = "${google_service_account.scheduler.account_id}@${var.project_id}.iam.gserviceaccount.com"
  deadlines = { for name, job in var.jobs : name => job.deadline_s }

  # What Cloud Run will call the service is known before it exists, so that the job can be told which audience to ask for.
  audiences = { for name in keys(local.jobs) : name =>
    "https://${local.name}-${replace(name, "_", "-")}-${data.google_project.this.number}.${var.region}.run.app"
  }
}

resource "google_service_account" "scheduler" {
  account_id   = "wl-scheduler"
  display_name = "Calls the jobs"
  depends_on   = [google_project_service.needed]
}

resource "google_cloud_scheduler_job" "job" {
  for_each = local.jobs

  name             = "${local.name}-${replace(each.key, "_", "-")}"
  description      = "${join(" ", each.value.methods)} ${each.value.path}"
  region           = var.region
  schedule         = var.jobs[each.key].schedule
  time_zone        = var.time_zone
  attempt_deadline = "${var.jobs[each.key].deadline_s}s"

  retry_config {
    retry_count          = var.jobs[each.key].retry_count
    min_backoff_duration = "30s"
    max_backoff_duration = "600s"
    max_doublings        = 4
  }

  http_target {
    http_method = one(each.value.methods)
    uri         = "${module.function[each.key].uri}${each.value.path}"

    oidc_token {
      service_account_email = local.scheduler
      audience              = local.audiences[each.key]
    }
  }
}
