# Terraform makes the secret, not its value, which would then stand in the state:
#   openssl rand -hex 32 | gcloud secrets versions add watchledger-log-pseudonym-key --data-file=-
resource "google_secret_manager_secret" "log_pseudonym_key" {
  secret_id = "${local.name}-log-pseudonym-key"

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [google_project_service.needed]
}
