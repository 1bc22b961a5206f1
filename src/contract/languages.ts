/** Languages that people are spoken to in: pages, profiles, refusals (R39). */
export const LANGUAGES = ['en', 'nl'] as const
export type Language = (typeof LANGUAGES)[number]
