variable "allowed_origins" {
  description = "Origins of other sites whose pages may call the API, as https://lms.example.com; the pages here need none."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.allowed_origins : can(regex("^https://[a-z0-9.-]+(:[0-9]+)?$", origin))])
    error_message = "An origin is https:// and a host name, without a path; * is none."
  }
}

locals {
  # GET is asked by HEAD, too.
  methods = { for name, function in local.routed : name =>
    contains(function.methods, "GET") ? concat(function.methods, ["HEAD"]) : function.methods
  }
  paths = { for function in local.routed : function.path => function.path... }

  # As their ids are, but made of names, which a plan knows: so it says what reaches what.
  backends      = { for name, backend in google_compute_backend_service.function : name => "projects/${var.project_id}/global/backendServices/${backend.name}" }
  pages_backend = "projects/${var.project_id}/global/backendBuckets/${google_compute_backend_bucket.pages.name}"

  # By path and method to the function; any other method of the path to one of its functions, which answers 405 and says
  # what is allowed. A preflight is answered by the load balancer itself, whichever of the two it meets.
  api_rules = concat(
    [for name in sort(keys(local.routed)) : {
      path    = local.routed[name].path
      methods = local.methods[name]
      service = local.backends[name]
    }],
    [for path in sort(keys(local.paths)) : {
      path    = path
      methods = []
      service = local.backends[sort([for name, function in local.routed : name if function.path == path])[0]]
    }],
  )
}
