locals {
  services = toset([
    "artifactregistry",
    "certificatemanager",
    "cloudbuild",
    "cloudfunctions",
    "cloudscheduler",
    "compute",
    "iam",
    "iamcredentials",
    "logging",
    "monitoring",
    "run",
    "secretmanager",
    "servicenetworking",
    "sqladmin",
    "storage",
  ])
}

resource "google_project_service" "needed" {
  for_each = local.services

  project            = var.project_id
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}
