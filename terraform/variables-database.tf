variable "database" {
  description = "The database server. `max_connections` has to bear what functions.tf may open, see connections.tf."
  type = object({
    version             = optional(number, 18)
    tier                = string
    disk_gb             = optional(number, 50)
    disk_limit_gb       = optional(number, 500)
    max_connections     = number
    reserved            = optional(number, 40)
    replica_tier        = optional(string)
    replica_serves      = optional(bool, true) # false: what only reads asks the primary, and the replica waits
    backup_days         = optional(number, 30)
    log_days            = optional(number, 7)
    backup_start        = optional(string, "01:00")
    maintenance_day     = optional(number, 7)
    maintenance_hour    = optional(number, 3)
    availability        = optional(string, "REGIONAL")
    deletion_protection = optional(bool, true)
  })

  validation {
    condition     = var.database.version >= 15 && var.database.version <= 18 && floor(var.database.version) == var.database.version
    error_message = "PostgreSQL 15 to 18."
  }
  validation {
    condition     = startswith(var.database.tier, "db-") && startswith(coalesce(var.database.replica_tier, "db-"), "db-")
    error_message = "A tier of the edition Enterprise, as db-custom-4-16384."
  }
  validation {
    condition     = contains(["REGIONAL", "ZONAL"], var.database.availability)
    error_message = "REGIONAL has a standby in another zone, ZONAL has none."
  }
  validation {
    condition     = var.environment != "production" || (var.database.availability == "REGIONAL" && var.database.deletion_protection)
    error_message = "Production has a standby and is protected from deletion."
  }
  validation {
    condition     = var.database.log_days >= 1 && var.database.log_days <= 7 && var.database.backup_days > var.database.log_days
    error_message = "The logs reach back 1 to 7 days, the backups further."
  }
}
