resource "google_sql_database_instance" "primary" {
  #checkov:skip=CKV_GCP_79:it knows of none above 17
  #checkov:skip=CKV_GCP_108:connections come through the connector, which has no host name to look up
  #checkov:skip=CKV2_GCP_13:a line for every statement; Query Insights has the slow ones, without what is in them
  name                = local.name
  region              = var.region
  database_version    = "POSTGRES_${var.database.version}"
  deletion_protection = var.database.deletion_protection

  settings {
    tier                        = var.database.tier
    edition                     = "ENTERPRISE" # from 16 on the default is another, which has no db-custom
    availability_type           = var.database.availability
    connector_enforcement       = "REQUIRED"
    deletion_protection_enabled = var.database.deletion_protection
    retain_backups_on_delete    = true
    disk_type                   = "PD_SSD"
    disk_size                   = var.database.disk_gb
    disk_autoresize             = true
    disk_autoresize_limit       = var.database.disk_limit_gb

    ip_configuration {
      ipv4_enabled       = false
      private_network    = google_compute_network.this.id
      allocated_ip_range = google_compute_global_address.services.name
      ssl_mode           = "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    }

    backup_configuration {
      enabled                        = true
      start_time                     = var.database.backup_start
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = var.database.log_days

      backup_retention_settings {
        retained_backups = var.database.backup_days
        retention_unit   = "COUNT"
      }
    }

    maintenance_window {
      day          = var.database.maintenance_day
      hour         = var.database.maintenance_hour
      update_track = "stable"
    }

    insights_config {
      query_insights_enabled  = true
      query_string_length     = 4096
      query_plans_per_minute  = 5
      record_application_tags = true
      record_client_address   = false
    }

    database_flags {
      name  = "max_connections"
      value = tostring(var.database.max_connections)
    }
    database_flags {
      name  = "cloudsql.iam_authentication"
      value = "on"
    }
    database_flags {
      name  = "cloudsql.enable_pgaudit"
      value = "on"
    }
    database_flags {
      name  = "log_checkpoints"
      value = "on"
    }
    database_flags {
      name  = "log_connections"
      value = "on"
    }
    database_flags {
      name  = "log_disconnections"
      value = "on"
    }
    database_flags {
      name  = "log_lock_waits"
      value = "on"
    }
    database_flags {
      name  = "log_min_duration_statement"
      value = "-1"
    }
    database_flags {
      name  = "log_min_error_statement"
      value = "error"
    }
    database_flags {
      name  = "log_min_messages"
      value = "warning"
    }
    database_flags {
      name  = "log_statement"
      value = "ddl"
    }
    database_flags {
      name  = "log_temp_files"
      value = "0"
    }
    database_flags {
      name  = "pgaudit.log"
      value = "ddl,role"
    }
  }

  lifecycle {
    ignore_changes = [settings[0].disk_size] # it grows by itself

    precondition {
      condition     = local.connections.primary <= var.database.max_connections - var.database.reserved
      error_message = "Functions may open ${local.connections.primary} connections, the database has ${var.database.max_connections - var.database.reserved} for them: fewer instances, or more connections."
    }
  }

  depends_on = [google_service_networking_connection.services]
}
