# What the load balancer does with a path. That it does so for every path of the API, tests/infra/test_terraform.py shows.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

run "plan" {
  command = plan

  assert {
    condition     = toset(keys(google_compute_backend_service.function)) == setsubtract(keys(local.functions), keys(var.jobs))
    error_message = "Every function but the jobs is behind the load balancer."
  }
  assert {
    condition     = length(local.api_rules) == length(local.routed) + length(local.paths)
    error_message = "Every function has a rule, and every path one for the other methods."
  }
  assert {
    condition = alltrue([
      for rule in local.api_rules : length(regexall("\\{", rule.path)) <= 5
    ])
    error_message = "A path template has five variables at most."
  }
  assert {
    condition = length(distinct([
      for rule in google_compute_url_map.edge.path_matcher[0].route_rules : rule.priority
    ])) == length(google_compute_url_map.edge.path_matcher[0].route_rules)
    error_message = "No two rules have the same priority."
  }
  assert {
    condition = alltrue([
      for backend in google_compute_backend_service.function :
      backend.load_balancing_scheme == "EXTERNAL_MANAGED" && backend.enable_cdn == false
    ])
    error_message = "What is answered belongs to who asked: nothing is cached."
  }
  assert {
    condition     = google_compute_url_map.to_https.default_url_redirect[0].https_redirect
    error_message = "HTTP is sent to HTTPS."
  }
  assert {
    condition = alltrue([
      for rule in google_compute_url_map.edge.path_matcher[0].route_rules :
      alltrue([for action in rule.route_action : action.cors_policy[0].disabled])
    ])
    error_message = "Without other origins there is no CORS."
  }
}

run "another_site_is_let_in_by_name" {
  command = plan

  variables {
    allowed_origins = ["https://lms.example.com"]
  }

  assert {
    condition = alltrue([
      for rule in google_compute_url_map.edge.path_matcher[0].route_rules : alltrue([
        for action in rule.route_action :
        !action.cors_policy[0].disabled && action.cors_policy[0].allow_origins == tolist(["https://lms.example.com"])
      ])
    ])
    error_message = "Its origin, and no other."
  }
}
