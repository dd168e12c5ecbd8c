variable "alert_email" {
  description = "Who is told."
  type        = string

  validation {
    condition     = can(regex("^[^@ ]+@[^@ ]+$", var.alert_email))
    error_message = "An e-mail address."
  }
}

variable "notification_channels" {
  description = "More channels that are told, made elsewhere: a pager's, projects/…/notificationChannels/…"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", channel))])
    error_message = "A channel is written as projects/…/notificationChannels/123."
  }
}

resource "google_monitoring_notification_channel" "email" {
  display_name = "Watchledger's on-call"
  type         = "email"
  labels       = { email_address = var.alert_email }
  depends_on   = [google_project_service.needed]
}

locals {
  # How fast the budget of 28 days may be spent: 14.4 times spends a fiftieth of it in an hour, 6 times a twentieth in six.
  # The short window ends the alert soon after the cause has ended.
  burns = {
    fast = { rate = 14.4, windows = ["3600s", "300s"], severity = "CRITICAL" }
    slow = { rate = 6, windows = ["21600s", "1800s"], severity = "WARNING" }
  }
  burn_alerts = merge([for objective, slo in {
    availability = google_monitoring_slo.availability
    latency      = google_monitoring_slo.latency
    } : { for speed, burn in local.burns : "progress_${objective}_${speed}" => {
      title    = "${slo.display_name}: the budget burns ${burn.rate} times too fast"
      severity = burn.severity
      combiner = "AND"
      conditions = [for window in burn.windows : {
        name      = "over ${window}"
        filter    = "select_slo_burn_rate(\"${slo.name}\", \"${window}\")"
        threshold = burn.rate
      }]
  } }]...)

  # With the names of here in them, so that a command can be pasted as it is read.
  runbooks = { for name in keys(local.alerts) : name => join("", [
    for part in regexall("\\$[A-Z_]+|[^$]+|\\$", file("${path.module}/../docs/runbooks/${name}.md")) : lookup(local.named, part, part)
  ]) }
  named = {
    "$PROJECT"  = var.project_id
    "$REGION"   = var.region
    "$DOMAIN"   = var.domain
    "$JWKS_URL" = var.tokens.jwks_url
  }

  alerts = merge(local.burn_alerts, local.job_alerts, local.database_alerts, local.replica_alerts, local.api_alerts)
}

# Each has docs/runbooks/<alert>.md, which whoever is told gets with it.
resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  display_name          = "${local.name}: ${each.value.title}"
  severity              = each.value.severity
  combiner              = each.value.combiner
  notification_channels = concat([google_monitoring_notification_channel.email.id], var.notification_channels)
  user_labels           = { runbook = each.key }

  documentation {
    subject   = "[${var.environment}] ${each.value.title}"
    content   = local.runbooks[each.key]
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = "86400s"
  }

  dynamic "conditions" {
    for_each = each.value.conditions

    content {
      display_name = conditions.value.name

      condition_threshold {
        filter                  = conditions.value.filter
        denominator_filter      = try(conditions.value.of, null)
        comparison              = try(conditions.value.comparison, "COMPARISON_GT")
        threshold_value         = conditions.value.threshold
        duration                = try(conditions.value.duration, "0s")
        evaluation_missing_data = try(conditions.value.missing, null)

        dynamic "aggregations" {
          for_each = try([conditions.value.aggregation], [])

          content {
            alignment_period     = aggregations.value.period
            per_series_aligner   = aggregations.value.aligner
            cross_series_reducer = aggregations.value.reducer
            group_by_fields      = try(aggregations.value.by, [])
          }
        }

        dynamic "denominator_aggregations" {
          for_each = can(conditions.value.of) ? [conditions.value.aggregation] : []

          content {
            alignment_period     = denominator_aggregations.value.period
            per_series_aligner   = denominator_aggregations.value.aligner
            cross_series_reducer = denominator_aggregations.value.reducer
          }
        }
      }
    }
  }
}
