resource "google_service_account" "this" {
  account_id   = "wl-${local.hyphenated}"
  display_name = "The function ${var.name}"
  project      = var.project_id
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  name     = google_cloudfunctions2_function.this.name
  location = var.region
  project  = var.project_id
  role     = "roles/run.invoker"
  member   = var.invoker
}

resource "google_secret_manager_secret_iam_member" "this" {
  for_each = var.secrets

  secret_id = each.value.secret_id
  project   = var.project_id
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${local.account}"
}

# Cloud SQL has no policy on an instance, only the project's: the condition is what makes these the instance's own. Who
# may ask the replica may ask the primary, too, so that to change from one to the other waits for no right.
resource "google_project_iam_member" "database" {
  for_each = toset(["roles/cloudsql.client", "roles/cloudsql.instanceUser"])

  project = var.project_id
  role    = each.key
  member  = "serviceAccount:${local.account}"

  condition {
    title      = "only ${join(" and ", var.servers)}"
    expression = "resource.service == \"sqladmin.googleapis.com\" && (${join(" || ", [for name in var.servers : "resource.name == \"projects/${var.project_id}/instances/${name}\""])})"
  }
}

resource "google_sql_user" "this" {
  name           = trimsuffix(local.account, ".gserviceaccount.com")
  instance       = var.primary.name
  project        = var.project_id
  type           = "CLOUD_IAM_SERVICE_ACCOUNT"
  database_roles = ["watchledger_${var.name}"] # made by a migration, with what its statements need
}
