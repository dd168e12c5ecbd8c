resource "google_sql_database" "watchledger" {
  name     = local.name
  instance = google_sql_database_instance.primary.name
}

locals {
  migrator = "${google_service_account.migrator.account_id}@${var.project_id}.iam.gserviceaccount.com"
}

# Who owns the tables. Nobody runs as this account; `deployers` may act as it.
resource "google_service_account" "migrator" {
  account_id   = "wl-migrate"
  display_name = "Migrates the database"
  depends_on   = [google_project_service.needed]
}

resource "google_service_account_iam_member" "deployers" {
  for_each = var.deployers

  service_account_id = google_service_account.migrator.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.key
}

resource "google_project_iam_member" "migrator" {
  for_each = toset(["roles/cloudsql.client", "roles/cloudsql.instanceUser"])

  project = var.project_id
  role    = each.key
  member  = "serviceAccount:${local.migrator}"

  condition {
    title      = "only ${google_sql_database_instance.primary.name}"
    expression = "resource.service == \"sqladmin.googleapis.com\" && resource.name == \"projects/${var.project_id}/instances/${google_sql_database_instance.primary.name}\""
  }
}

resource "google_sql_user" "migrator" {
  name           = trimsuffix(local.migrator, ".gserviceaccount.com")
  instance       = google_sql_database_instance.primary.name
  type           = "CLOUD_IAM_SERVICE_ACCOUNT"
  database_roles = ["cloudsqlsuperuser"]
}
