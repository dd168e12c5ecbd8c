# From outside, through everything: name, certificate, load balancer, function. It has no token, so it is refused;
# that it is refused by us and not by anything before is what is looked at.
resource "google_monitoring_uptime_check_config" "api" {
  display_name = "Watchledger's API"
  period       = "60s"
  timeout      = "10s"

  http_check {
    path           = "/video/lessons/uptime"
    port           = 443
    request_method = "GET"
    use_ssl        = true
    validate_ssl   = true

    accepted_response_status_codes {
      status_value = 401
    }
  }

  content_matchers {
    content = "urn:watchledger:problem:unauthenticated"
    matcher = "CONTAINS_STRING"
  }

  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.project_id
      host       = var.domain
    }
  }

  depends_on = [google_project_service.needed]
}
