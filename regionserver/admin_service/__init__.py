"""AdminService: what administrators, tools and the master ask of one region server."""
