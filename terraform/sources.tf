variable "packages" {
  description = "The folder with the functions' archives and their index, as `make package` makes it."
  type        = string
  default     = "../dist"
}

locals {
  index    = "${path.module}/${var.packages}/functions.json"
  packaged = fileexists(local.index) ? jsondecode(file(local.index)) : {}
  archives = { for name in keys(local.functions) : name => basename(try(local.packaged[name].archive, "${name}-not-packaged.zip")) }
}

resource "google_storage_bucket" "sources" {
  #checkov:skip=CKV_GCP_62:who deploys is in the project's audit log; nothing in it is secret
  name                        = "${var.project_id}-${local.name}-sources"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }
}

# Its name has its content's hash: a function whose archive is the same is not deployed again.
resource "google_storage_bucket_object" "source" {
  for_each = local.archives

  bucket       = google_storage_bucket.sources.name
  name         = each.value
  source       = "${path.module}/${var.packages}/${each.value}"
  content_type = "application/zip"

  lifecycle {
    precondition {
      condition     = contains(keys(local.packaged), each.key) || var.environment == "example"
      error_message = "There is no archive of ${each.key}: run make package."
    }
  }
}

resource "google_artifact_registry_repository" "functions" {
  #checkov:skip=CKV_GCP_84:code without secrets, encrypted with a key of Google's
  repository_id = local.name
  location      = var.region
  format        = "DOCKER"
  description   = "The images that Cloud Functions builds"

  cleanup_policies {
    id     = "keep-the-latest"
    action = "KEEP"

    most_recent_versions {
      keep_count = 5
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"

    condition {
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.needed]
}

resource "google_service_account" "builder" {
  account_id   = "wl-build"
  display_name = "Builds the functions"
  depends_on   = [google_project_service.needed]
}

locals {
  builder = "serviceAccount:${google_service_account.builder.account_id}@${var.project_id}.iam.gserviceaccount.com"
}

resource "google_storage_bucket_iam_member" "builder" {
  bucket = google_storage_bucket.sources.name
  role   = "roles/storage.objectViewer"
  member = local.builder
}

resource "google_artifact_registry_repository_iam_member" "builder" {
  repository = google_artifact_registry_repository.functions.name
  location   = var.region
  project    = var.project_id
  role       = "roles/artifactregistry.writer"
  member     = local.builder
}

# Cloud Functions copies an archive to a bucket of its own before it builds. That one is not there before the first function
# is; so the right is given on the project, and the condition is what makes it that bucket's.
resource "google_project_iam_member" "builder_sources" {
  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = local.builder

  condition {
    title      = "only what Cloud Functions builds from"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-${var.region}\")"
  }
}

# A build must write its log; that can be given on a project only, and lets it do nothing else.
resource "google_project_iam_member" "builder_logs" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = local.builder
}
