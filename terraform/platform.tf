variable "platform_host" {
  description = "The platform's host name, if it gives the pages their tokens: it is asked for `pages.token_path`, with the cookies that it set for the domain of both."
  type        = string
  default     = null

  validation {
    condition     = can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", coalesce(var.platform_host, "none.example")))
    error_message = "A host name in lower case, without scheme or path."
  }
}

locals {
  platforms = toset(var.platform_host == null ? [] : [var.platform_host])
}

resource "google_compute_global_network_endpoint_group" "platform" {
  for_each = local.platforms

  name                  = "${local.name}-platform"
  network_endpoint_type = "INTERNET_FQDN_PORT"
  default_port          = 443
}

resource "google_compute_global_network_endpoint" "platform" {
  for_each = local.platforms

  global_network_endpoint_group = google_compute_global_network_endpoint_group.platform[each.key].name
  fqdn                          = each.key
  port                          = 443
}

resource "google_compute_backend_service" "platform" {
  for_each = local.platforms

  name                  = "${local.name}-platform"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  enable_cdn            = false
  security_policy       = google_compute_security_policy.edge.id

  backend {
    group = "projects/${var.project_id}/global/networkEndpointGroups/${google_compute_global_network_endpoint_group.platform[each.key].name}"
  }

  log_config {
    enable      = true
    sample_rate = 1
  }
}
