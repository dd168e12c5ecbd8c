# Who is told of what, and what they see.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

run "with_a_replica" {
  command = plan

  variables {
    database = {
      tier            = "db-custom-4-16384"
      replica_tier    = "db-custom-2-7680"
      max_connections = 800
    }
  }

  assert {
    condition = toset(keys(local.alerts)) == toset([
      for file in fileset("${path.module}/../docs/runbooks", "*.md") : trimsuffix(file, ".md")
    ])
    error_message = "Every alert has a runbook, and every runbook an alert."
  }
  assert {
    condition = alltrue([
      for alert in values(local.alerts) : length(alert.conditions) > 0 && contains(["CRITICAL", "ERROR", "WARNING"], alert.severity)
    ])
    error_message = "Every alert has conditions and a severity."
  }
  assert {
    condition     = length(distinct([for tile in local.tiles : [try(tile.xPos, 0), tile.yPos]])) == length(local.charts)
    error_message = "No two tiles of the dashboard lie on each other."
  }
  assert {
    condition     = alltrue([for tile in local.tiles : try(tile.xPos, 0) + tile.width <= 48])
    error_message = "Every tile is on the dashboard."
  }
  assert {
    condition = alltrue([for tile in local.tiles :
      try(tile.xPos, 1) > 0 && alltrue([for value in values(tile.widget.xyChart.dataSets[0].timeSeriesQuery.timeSeriesFilter.aggregation) : value != null && value != []])
    ])
    error_message = "Nothing is said that Google would leave out."
  }
}

run "without_a_replica" {
  command = plan

  assert {
    condition     = !contains(keys(local.alerts), "replica_lag")
    error_message = "What is not there is not watched."
  }
}
