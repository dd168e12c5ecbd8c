# One host name, one address: routes.tf says which path and method reach which function, pages.tf has the rest.
resource "google_compute_global_address" "edge" {
  name       = local.name
  depends_on = [google_project_service.needed]
}

resource "google_compute_region_network_endpoint_group" "function" {
  for_each = local.routed

  name                  = "${local.name}-${replace(each.key, "_", "-")}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = module.function[each.key].service
  }
}

resource "google_compute_backend_service" "function" {
  for_each = local.routed

  name                  = "${local.name}-${replace(each.key, "_", "-")}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  enable_cdn            = false # what is answered belongs to who asked
  security_policy       = google_compute_security_policy.edge.id

  backend {
    group = "projects/${var.project_id}/regions/${var.region}/networkEndpointGroups/${google_compute_region_network_endpoint_group.function[each.key].name}"
  }

  log_config {
    enable      = true
    sample_rate = 0.1 # each function writes a line of every request
  }
}

resource "google_certificate_manager_dns_authorization" "domain" {
  name       = local.name
  domain     = var.domain
  depends_on = [google_project_service.needed]
}

# By DNS, not by HTTP: it is there before anybody is sent to the new address.
resource "google_certificate_manager_certificate" "domain" {
  name = local.name

  managed {
    domains            = [var.domain]
    dns_authorizations = [google_certificate_manager_dns_authorization.domain.id]
  }
}

resource "google_certificate_manager_certificate_map" "domain" {
  name       = local.name
  depends_on = [google_project_service.needed]
}

resource "google_certificate_manager_certificate_map_entry" "domain" {
  name         = local.name
  map          = google_certificate_manager_certificate_map.domain.name
  hostname     = var.domain
  certificates = [google_certificate_manager_certificate.domain.id]
}

resource "google_compute_ssl_policy" "edge" {
  name            = local.name
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_target_https_proxy" "edge" {
  name            = local.name
  url_map         = google_compute_url_map.edge.id
  certificate_map = "//certificatemanager.googleapis.com/${google_certificate_manager_certificate_map.domain.id}"
  ssl_policy      = google_compute_ssl_policy.edge.id
}

resource "google_compute_global_forwarding_rule" "https" {
  name                  = "${local.name}-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.edge.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.edge.id
}

resource "google_compute_url_map" "to_https" {
  name = "${local.name}-to-https"

  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "PERMANENT_REDIRECT" # a POST stays a POST
    strip_query            = false
  }
}

resource "google_compute_target_http_proxy" "to_https" {
  name    = "${local.name}-to-https"
  url_map = google_compute_url_map.to_https.id
}

resource "google_compute_global_forwarding_rule" "http" {
  name                  = "${local.name}-http"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.edge.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.to_https.id
}
