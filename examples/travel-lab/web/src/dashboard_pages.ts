// The advisors' pages, each a part of the build that is loaded when it is first opened. In a file of its own, because both
// the router and the frame around these pages need it, and the router imports the frame.

export const messages = async () => ({ Component: (await import('./pages/messages')).MessagesPage });
export const clients = async () => ({ Component: (await import('./pages/clients')).ClientsPage });
export const client = async () => ({ Component: (await import('./pages/client')).ClientPage });

/** Loads all of them ahead of time: then they open at once, and also while there is no connection. */
export function preloadDashboardPages() {
  // What does not arrive now is asked for again when it is opened.
  void Promise.allSettled([messages(), clients(), client()]);
}
