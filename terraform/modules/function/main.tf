locals {
  hyphenated = replace(var.name, "_", "-")
  account    = "${google_service_account.this.account_id}@${var.project_id}.iam.gserviceaccount.com" # its email, which a plan knows
}

resource "google_cloudfunctions2_function" "this" {
  #checkov:skip=CKV_GCP_124:var.ingress is one of two, see its validation; the load balancer has to reach it
  name     = "watchledger-${local.hyphenated}"
  location = var.region
  project  = var.project_id

  build_config {
    runtime           = "python313"
    entry_point       = var.name
    service_account   = var.build.account
    docker_repository = var.build.repository

    source {
      storage_source {
        bucket = var.build.bucket
        object = var.build.object
      }
    }
  }

  service_config {
    available_cpu                    = "1"
    available_memory                 = var.memory
    max_instance_request_concurrency = var.concurrency
    min_instance_count               = var.min_instances
    max_instance_count               = var.max_instances
    timeout_seconds                  = var.timeout_seconds
    ingress_settings                 = var.ingress
    all_traffic_on_latest_revision   = true
    service_account_email            = local.account
    direct_vpc_egress                = "VPC_EGRESS_PRIVATE_RANGES_ONLY" # keys of tokens are fetched from the internet

    direct_vpc_network_interface {
      network    = var.network
      subnetwork = var.subnetwork
    }

    environment_variables = merge(var.settings, {
      INSTANCE_CONNECTION_NAME = "${var.project_id}:${var.region}:${var.instance.name}"
      DATABASE_USER            = google_sql_user.this.name
      DATABASE_CONNECTIONS     = var.connections
      THREADS                  = var.concurrency # the framework's, and so is the next
      LOG_EXECUTION_ID         = false           # if it is left out, Google sets it: every plan would change it back
    })

    dynamic "secret_environment_variables" {
      for_each = var.secrets

      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = secret_environment_variables.value.secret_id
        version    = "latest"
      }
    }
  }

  depends_on = [google_secret_manager_secret_iam_member.this]
}
