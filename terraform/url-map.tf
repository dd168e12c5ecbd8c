resource "google_compute_url_map" "edge" {
  name            = local.name
  default_service = local.pages_backend

  host_rule {
    hosts        = [var.domain]
    path_matcher = "watchledger"
  }

  path_matcher {
    name            = "watchledger"
    default_service = local.pages_backend

    dynamic "route_rules" {
      for_each = local.api_rules

      content {
        priority = 100 + route_rules.key
        service  = route_rules.value.service

        dynamic "match_rules" {
          for_each = length(route_rules.value.methods) > 0 ? route_rules.value.methods : ["any"]

          content {
            full_path_match     = strcontains(route_rules.value.path, "{") ? null : route_rules.value.path
            path_template_match = strcontains(route_rules.value.path, "{") ? replace(route_rules.value.path, "}", "=*}") : null

            dynamic "header_matches" {
              for_each = toset([for method in route_rules.value.methods : method if method == match_rules.value])

              content {
                header_name = ":method"
                exact_match = header_matches.key
              }
            }
          }
        }

        route_action {
          cors_policy {
            disabled       = length(var.allowed_origins) == 0
            allow_origins  = var.allowed_origins
            allow_methods  = ["GET", "HEAD", "POST", "PUT", "DELETE"]
            allow_headers  = ["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "traceparent"]
            expose_headers = ["ETag", "Retry-After"]
            max_age        = 7200
          }
        }
      }
    }

    dynamic "route_rules" {
      for_each = local.page_folders

      content {
        priority = 1100 + route_rules.key

        match_rules {
          full_path_match = "/${route_rules.value}"
        }

        url_redirect {
          path_redirect          = "/${route_rules.value}/"
          redirect_response_code = "PERMANENT_REDIRECT"
          strip_query            = false
        }
      }
    }

    dynamic "route_rules" {
      for_each = google_compute_backend_service.platform

      content {
        priority = 1500
        service  = "projects/${var.project_id}/global/backendServices/${route_rules.value.name}"

        match_rules {
          full_path_match = var.pages.token_path
        }

        route_action {
          url_rewrite {
            host_rewrite = route_rules.key
          }
        }
      }
    }

    # Whatever else is a page or nothing: then as a function answers that does not know the path, but without waking one
    # for every scanner.
    route_rules {
      priority = 2000
      service  = local.pages_backend

      match_rules {
        prefix_match = "/"
      }

      custom_error_response_policy {
        error_service = local.pages_backend

        error_response_rule {
          match_response_codes   = ["403", "404", "405"]
          path                   = "/${google_storage_bucket_object.not_found.name}"
          override_response_code = 404
        }
      }
    }
  }
}
