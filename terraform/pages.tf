variable "pages" {
  description = "What the pages are told: where a lesson's video is, with {lessonId} in it; and of the platform, see platform.tf, where they get a token and where people sign in."
  type = object({
    token_path  = optional(string, "/platform/token")
    sign_in_url = optional(string)
    video_url   = optional(string)
  })
  default = {}

  validation {
    condition     = startswith(var.pages.token_path, "/")
    error_message = "The token comes from this host: a session's cookie is not sent to another."
  }
}

locals {
  player = "${path.module}/../player"
  types = {
    css  = "text/css; charset=utf-8"
    html = "text/html; charset=utf-8"
    js   = "text/javascript; charset=utf-8"
    json = "application/json"
    svg  = "image/svg+xml"
  }
  files = merge(
    { for file in fileset("${local.player}/pages", "**/*.{css,html,js,svg}") : file => "${local.player}/pages/${file}" },
    { for file in fileset("${local.player}/src", "**/*.js") : "src/${file}" => "${local.player}/src/${file}" },
  )
  page_folders = sort(distinct([for file in keys(local.files) : split("/", file)[0]]))

  content_policy = join("; ", [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "media-src 'self' https:",
    "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
  ])
}

resource "google_storage_bucket" "pages" {
  #checkov:skip=CKV_GCP_62:what is read from it is in the load balancer's log
  #checkov:skip=CKV_GCP_114:a load balancer reads a bucket as everybody does; there is nothing but the pages in it
  name                        = "${var.project_id}-${local.name}-pages"
  location                    = var.region
  uniform_bucket_level_access = true
  force_destroy               = true

  versioning {
    enabled = true
  }

  website {
    main_page_suffix = "index.html"
  }
}

resource "google_storage_bucket_iam_member" "pages" {
  #checkov:skip=CKV_GCP_28:pages without anybody's data, for everybody
  bucket = google_storage_bucket.pages.name
  role   = "roles/storage.legacyObjectReader" # reads what it knows the name of, lists nothing
  member = "allUsers"
}

resource "google_storage_bucket_object" "page" {
  for_each = local.files

  bucket        = google_storage_bucket.pages.name
  name          = each.key
  source        = each.value
  content_type  = local.types[reverse(split(".", each.key))[0]]
  cache_control = "no-cache"
}

resource "google_storage_bucket_object" "config" {
  bucket        = google_storage_bucket.pages.name
  name          = "config.json"
  content_type  = local.types.json
  cache_control = "no-cache"

  content = jsonencode({ for name, value in {
    tokenUrl  = var.pages.token_path
    signInUrl = var.pages.sign_in_url
    video     = var.pages.video_url
  } : name => value if value != null })
}

resource "google_storage_bucket_object" "not_found" {
  bucket        = google_storage_bucket.pages.name
  name          = "not-found.json"
  content_type  = "application/problem+json"
  cache_control = "no-store"
  source        = "${path.module}/not-found.json"
}

resource "google_compute_backend_bucket" "pages" {
  name        = "${local.name}-pages"
  bucket_name = google_storage_bucket.pages.name
  enable_cdn  = false

  custom_response_headers = [
    "Content-Security-Policy: ${local.content_policy}",
    "Referrer-Policy: same-origin",
    "Strict-Transport-Security: max-age=31536000",
    "X-Content-Type-Options: nosniff",
  ]
}
