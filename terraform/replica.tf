locals {
  has_replica = var.database.replica_tier != null
}

# What only reads may be answered by a copy, a moment behind; `for_each` over at most one.
resource "google_sql_database_instance" "replica" {
  #checkov:skip=CKV_GCP_51:its flags are those of the primary
  #checkov:skip=CKV_GCP_52:its flags are those of the primary
  #checkov:skip=CKV_GCP_53:its flags are those of the primary
  #checkov:skip=CKV_GCP_54:its flags are those of the primary
  #checkov:skip=CKV_GCP_109:its flags are those of the primary
  #checkov:skip=CKV_GCP_110:its flags are those of the primary
  #checkov:skip=CKV_GCP_111:its flags are those of the primary
  #checkov:skip=CKV_GCP_79:as of the primary
  #checkov:skip=CKV_GCP_108:as of the primary
  #checkov:skip=CKV2_GCP_13:as of the primary
  for_each = toset(local.has_replica ? ["replica"] : [])

  name                 = "${local.name}-${each.key}"
  region               = var.region
  database_version     = google_sql_database_instance.primary.database_version
  master_instance_name = google_sql_database_instance.primary.name
  deletion_protection  = false # it has nothing that the primary has not

  settings {
    tier                  = var.database.replica_tier
    edition               = "ENTERPRISE"
    availability_type     = "ZONAL" # without it, `replica_serves = false` sends its readers to the primary
    connector_enforcement = "REQUIRED"
    disk_type             = "PD_SSD"
    disk_autoresize       = true
    disk_autoresize_limit = var.database.disk_limit_gb

    ip_configuration {
      ipv4_enabled       = false
      private_network    = google_compute_network.this.id
      allocated_ip_range = google_compute_global_address.services.name
      ssl_mode           = "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    }

    insights_config {
      query_insights_enabled  = true
      query_string_length     = 4096
      query_plans_per_minute  = 5
      record_application_tags = true
      record_client_address   = false
    }

    dynamic "database_flags" {
      for_each = google_sql_database_instance.primary.settings[0].database_flags # with fewer connections it would not start

      content {
        name  = database_flags.value.name
        value = database_flags.value.value
      }
    }
  }

  lifecycle {
    precondition {
      condition     = local.connections.replica <= var.database.max_connections - var.database.reserved
      error_message = "Functions may open ${local.connections.replica} connections, the replica has ${var.database.max_connections - var.database.reserved} for them: fewer instances, or more connections."
    }
  }
}
